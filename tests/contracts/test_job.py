from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lrctl.contracts import job as jobs
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.params import UNKEYED
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord, JobResult
from lrctl.contracts.schedule import Observation
from lrctl.engine import divergence
from lrctl.recipe.schema import Divergence
from lrctl.testing import Constant

SPEC = TrainSpec(
    workload="linear-regression",
    workload_params={"dim": 16, "batch_size": 8, "noise": 0.1},
    content="abc",
    seed=0,
    optimizer=optimizers.AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
)
JOB = SegmentJob(10, 20, PiecewiseLinear(((10, 1e-3), (20, 2e-3))), parent="ab" * 32)
GOLDEN = "87fc3bbecee642781a96e99879da4975b7f32c362ea3751d22a2d38a81eb88dc"


@dataclass(frozen=True)
class MinusZero:
    """The LR -0.0."""

    def __call__(self, _step: float) -> float:
        return -0.0


@dataclass(frozen=True)
class Warm:
    """An adaptive schedule with one LR."""

    lr: float

    def init(self) -> None:
        return None

    def __call__(self, _step: int, _state: Any) -> float:
        return self.lr

    def update(self, state: Any, _seen: Observation) -> Any:
        return state


@dataclass(frozen=True)
class Cold(Warm):
    """Another family with the same parameters."""


def test_the_key_is_pinned() -> None:
    assert JOB.key(SPEC) == GOLDEN


EQUAL = {
    "one knot or two": (PiecewiseLinear(((0, 0.25),)), PiecewiseLinear(((0, 0.25), (40, 0.25)))),
    "another family": (PiecewiseLinear(((0, 0.25),)), Constant(0.25)),
    "a ramp or its second half": (
        PiecewiseLinear(((0, 0.0), (20, 2.5))),
        PiecewiseLinear(((10, 1.25), (20, 2.5))),
    ),
    "the same steps, another end": (PiecewiseLinear(((0, 0.5), (20, 0.5), (21, 9.0))), Constant(0.5)),
    "minus zero": (MinusZero(), Constant(0.0)),
    "a whole number": (Constant(1), Constant(1.0)),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_lrs_have_equal_keys_however_they_are_described(one: Any, other: Any) -> None:
    assert replace(JOB, schedule=one).key(SPEC) == replace(JOB, schedule=other).key(SPEC)


SAME_TASK: dict[str, dict[str, Any]] = {
    "run": {"run": "another"},
    "number of the device": {"device": "cpu:1"},
    "tf32 on a CPU": {"tf32": True},
    "kernels of a CPU": {"deterministic": False},
}


@pytest.mark.parametrize("change", SAME_TASK.values(), ids=SAME_TASK)
def test_what_changes_no_number_is_not_in_the_key(change: dict[str, Any]) -> None:
    assert JOB.key(replace(SPEC, **change)) == JOB.key(SPEC)


def test_the_folder_of_a_users_file_is_not_in_the_key() -> None:
    here, there, other = (replace(SPEC, workload=name) for name in ("/a/net.py:Net", "/b/net.py:Net", "/a/net.py:Old"))
    assert JOB.key(here) == JOB.key(there) != JOB.key(other)


def test_whether_a_checkpoint_is_wanted_is_not_in_the_key() -> None:
    assert replace(JOB, checkpoint=False).key(SPEC) == JOB.key(SPEC)


OTHER_TASK: dict[str, Any] = {
    "workload": "gpt",
    "workload_params": {"dim": 17, "batch_size": 8, "noise": 0.1},
    "content": "abd",
    "seed": 1,
    "optimizer": None,
    "device": "cuda",
    "dtype": "bfloat16",
    "threads": 2,
    "micro_batches": 2,
    "compile": True,
    "averaging": (4.0, 8.0),
    "steps": 30,
}

OF_CUDA = {"tf32": True, "deterministic": False}


@pytest.mark.parametrize(("name", "value"), OTHER_TASK.items(), ids=OTHER_TASK)
def test_every_field_of_the_task_is_in_the_key(name: str, value: Any) -> None:
    assert JOB.key(replace(SPEC, **{name: value})) != JOB.key(SPEC)


def test_no_field_of_the_task_is_forgotten() -> None:
    assert {field.name for field in dataclasses.fields(TrainSpec)} == {*OTHER_TASK, *OF_CUDA, *unkeyed(TrainSpec)}


def unkeyed(kind: Any) -> set[str]:
    """The fields that are marked as no part of the key."""
    return {field.name for field in dataclasses.fields(kind) if field.metadata == UNKEYED}


def test_what_is_marked_as_no_part_of_the_key_is_none() -> None:
    assert unkeyed(TrainSpec) == {"epoch", "families", "run", "told", "workload_unkeyed"}  # a job's own family enters
    assert JOB.key(replace(SPEC, run="another", workload_unkeyed={"timeout": 9.0})) == JOB.key(SPEC)
    others: dict[str, Any] = {"checkpoint": False, "stages": (15,), "stop_above": 1.0, "anew": True, "ahead": True}
    assert unkeyed(SegmentJob) - {"seed", "optimizer"} == others.keys(), "these two enter by the spec"
    assert {replace(JOB, **{name: value}).key(SPEC) for name, value in others.items()} == {JOB.key(SPEC)}


@pytest.mark.parametrize(("name", "value"), OF_CUDA.items(), ids=OF_CUDA)
def test_what_decides_on_a_gpu_is_in_the_key_there(name: str, value: bool) -> None:
    cuda = replace(SPEC, device="cuda:0")
    assert JOB.key(replace(cuda, **{name: value})) != JOB.key(cuda)  # type: ignore[arg-type]
    assert JOB.key(replace(cuda, **{name: not value})) == JOB.key(cuda)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["betas", "eps", "weight_decay", "clip_norm"])
def test_every_setting_of_the_optimizer_is_in_the_key(name: str) -> None:
    assert SPEC.optimizer is not None
    changed = replace(SPEC.optimizer, **{name: (0.5, 0.5) if name == "betas" else 0.5})  # type: ignore[arg-type]
    assert JOB.key(replace(SPEC, optimizer=changed)) != JOB.key(SPEC)


def test_the_name_of_the_optimizer_is_in_the_key() -> None:
    keys = {JOB.key(replace(SPEC, optimizer=kind())) for kind in optimizers.OPTIMIZERS.values()}
    assert len(keys) == len(optimizers.OPTIMIZERS)


def test_a_field_at_its_default_is_left_out_so_that_a_new_one_changes_no_key() -> None:
    spec = TrainSpec("w", {}, "c", 0, optimizers.SGD())
    assert spec.identity == {
        "numerics": jobs.NUMERICS,
        "workload": "w",
        "workload_params": {},
        "content": "c",
        "seed": 0,
        "optimizer": {"name": "sgd"},
    }


OTHER_JOB: dict[str, Any] = {
    "start": 9,
    "stop": 19,
    "schedule": PiecewiseLinear(((10, 1e-3), (20, math.nextafter(2e-3, 1)))),
    "parent": None,
    "score_batches": 1,
    "evaluate": ("test",),
    "gradient_norms": True,
    "repeat": 1,
    "seed": 7,
    "optimizer": optimizers.SGD(momentum=0.9),
}


@pytest.mark.parametrize(("name", "value"), OTHER_JOB.items(), ids=OTHER_JOB)
def test_every_field_of_the_job_is_in_the_key(name: str, value: Any) -> None:
    assert replace(JOB, **{name: value}).key(SPEC) != JOB.key(SPEC)


def test_no_field_of_the_job_is_forgotten() -> None:
    assert {field.name for field in dataclasses.fields(SegmentJob)} == {*OTHER_JOB, *unkeyed(SegmentJob)}


@pytest.mark.parametrize("own", [{"seed": 7}, {"optimizer": optimizers.SGD()}], ids=["seed", "optimizer"])
def test_a_job_with_a_seed_or_optimizer_of_its_own_is_that_of_a_task_with_them(own: dict[str, Any]) -> None:
    assert replace(JOB, **own).key(SPEC) == JOB.key(replace(SPEC, **own))
    assert replace(JOB, **own).key(SPEC) == replace(JOB, **own).key(SPEC.of(replace(JOB, **own)))


def test_a_job_whose_optimizer_averages_has_no_other_averages() -> None:
    job, averaged = replace(JOB, optimizer=optimizers.ScheduleFree()), replace(SPEC, averaging=(4.0,))
    assert job.key(averaged) == job.key(SPEC)
    other = replace(job, optimizer=optimizers.SGD())
    assert other.key(averaged) != other.key(SPEC)


def test_the_tasks_own_seed_and_optimizer_make_no_other_key() -> None:
    assert replace(JOB, seed=SPEC.seed, optimizer=SPEC.optimizer).key(SPEC) == JOB.key(SPEC)


def test_the_numerics_version_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = JOB.key(SPEC)
    monkeypatch.setattr(jobs, "NUMERICS", jobs.NUMERICS + 1)
    assert JOB.key(replace(SPEC)) != before


def test_an_adaptive_schedule_is_named_by_family_and_parameters() -> None:
    keys = [replace(JOB, schedule=schedule).key(SPEC) for schedule in (Warm(0.1), Warm(0.2), Cold(0.1), Constant(0.1))]
    assert len(set(keys)) == 4
    assert replace(JOB, schedule=Warm(0.1)).key(SPEC) == keys[0]


@pytest.mark.parametrize("lr", [-1e-3, math.nan, math.inf])
def test_an_lr_that_cannot_be_used_has_no_key(lr: float) -> None:
    with pytest.raises(ValueError, match="it must be finite and >= 0"):
        replace(JOB, schedule=Constant(lr)).key(SPEC)


FROZEN = {
    "no LR above 0": (Constant(0.0), True),
    "one LR above 0": (PiecewiseLinear(((18, 0.0), (20, 1.0))), False),
    "an end that is never used": (PiecewiseLinear(((19, 0.0), (20, 1.0))), True),
    "adaptive": (Warm(0.0), False),
}


@pytest.mark.parametrize(("schedule", "frozen"), FROZEN.values(), ids=FROZEN)
def test_a_job_is_frozen_if_the_weights_never_move(schedule: Any, frozen: bool) -> None:
    assert replace(JOB, schedule=schedule).frozen is frozen


# Divergence. A result is (non-finite losses, mean, mean of the last tenth).

INF = math.inf
OK, BAD = "ok", "diverged"
JUDGED: dict[str, tuple[list[tuple[int, float, float]], list[str], bool]] = {
    "sound": ([(0, 2.0, 1.9)], [OK], False),
    "non-finite losses at the limit": ([(3, 2.0, 1.9)], [OK], False),
    "non-finite losses over the limit": ([(4, 2.0, 1.9), (0, 2.0, 2.0)], [BAD, OK], False),
    "tail at the margin": ([(0, 2.0, 2.5), (0, 2.0, 2.0)], [OK, OK], False),
    "tail over the margin": ([(0, 2.0, 2.51), (0, 2.0, 2.0)], [BAD, OK], False),
    "tail not finite": ([(1, 2.0, INF), (0, 2.0, 2.0)], [BAD, OK], False),
    "all by the tail alone": ([(0, 2.0, 2.51), (0, 2.0, 9.0)], [OK, OK], True),
    "all, one by the count": ([(4, 2.0, INF), (0, 2.0, 9.0)], [BAD, OK], True),
    "all by the count": ([(4, 2.0, INF), (9, INF, INF)], [BAD, BAD], False),
    "one alone by the tail": ([(0, 2.0, 2.51)], [OK], True),
}


def judge(
    rows: list[tuple[int, float, float]], *frozen: int, rule: Divergence | None = None, steps: int = 10
) -> tuple[list[JobResult], str | None]:
    records = [JobRecord(str(i), "ok", mean, bad, tail, steps) for i, (bad, mean, tail) in enumerate(rows)]
    batch = [replace(JOB, schedule=Constant(0.0 if i in frozen else 0.1)) for i in range(len(rows))]
    diverged, note = divergence.judge(rule or Divergence(), batch, records, spread=0.25)
    return [record.answer(diverged=bad) for record, bad in zip(records, diverged, strict=True)], note


@pytest.mark.parametrize(("rows", "statuses", "noted"), JUDGED.values(), ids=JUDGED)
def test_a_job_is_judged_by_two_rules(rows: list[tuple[int, float, float]], statuses: list[str], noted: bool) -> None:
    judged, note = judge(rows)
    assert [result.status for result in judged] == statuses
    assert [result.mean_loss for result in judged] == [
        INF if status == BAD else mean for status, (_, mean, _) in zip(statuses, rows, strict=True)
    ]
    assert (note is not None) is noted


def test_frozen_weights_do_not_diverge_by_their_tail() -> None:
    judged, note = judge([(0, 2.0, 9.0), (0, 2.0, 2.0)], 0)
    assert [result.status for result in judged] == [OK, OK]
    assert note is None


def test_frozen_weights_do_not_save_the_others_from_the_second_rule_being_dropped() -> None:
    judged, note = judge([(0, 2.0, 2.0), (0, 2.0, 9.0)], 0)
    assert [result.status for result in judged] == [OK, OK]
    assert note is not None
    assert "more than 2 times their spread above the mean for every candidate" in note


def test_a_job_of_no_steps_is_never_diverged() -> None:
    (result,), note = judge([(0, INF, INF)], steps=0)
    assert (result.status, note) == (OK, None)


LIMITS: dict[str, tuple[Callable[[], Divergence], tuple[int, float, float], str]] = {
    "no non-finite loss": (lambda: Divergence(max_non_finite=0), (1, 2.0, 2.0), BAD),
    "many": (lambda: Divergence(max_non_finite=9), (9, 2.0, 2.0), OK),
    "a small margin": (lambda: Divergence(margin=0.4), (0, 2.0, 2.2), BAD),
    "a wide margin": (lambda: Divergence(margin=20.0), (0, 2.0, 6.9), OK),
}


@pytest.mark.parametrize(("rule", "row", "status"), LIMITS.values(), ids=LIMITS)
def test_both_limits_can_be_set(rule: Callable[[], Divergence], row: tuple[int, float, float], status: str) -> None:
    (first, _), _ = judge([row, (0, 2.0, 2.0)], rule=rule())
    assert first.status == status


@pytest.mark.parametrize("wrong", [{"max_non_finite": -1}, {"margin": 0.0}, {"margin": math.nan}])
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Divergence(**wrong)
