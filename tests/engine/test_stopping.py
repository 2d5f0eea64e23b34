"""Exact stopping: fewer steps, and every choice as it would have been."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrctl import hookimpl
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch, Tolerance
from lrctl.engine.divergence import sound as is_sound
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.recipe.schema import Divergence, Recipe
from lrctl.registry.registry import registry
from lrctl.storage.identity import RunIdentity
from lrctl.testing import SPEC, Constant
from lrctl.training.early_stopping import CHECKS, Limited, PartialMean
from lrctl.training.trainer import train
from searches import facts, forget, search, session_of, settled, smoke

RECIPES: dict[str, dict[str, Any]] = {
    "nats": {"strategy__semilocal__eps": 0.05},
    "share": {"strategy__semilocal__eps": 0.3, "strategy__semilocal__eps_unit": "progress"},
    "share above 1": {"strategy__semilocal__eps": 1.5, "strategy__semilocal__eps_unit": "progress"},
    "lean": {"strategy__semilocal__eps": 0.05, "strategy__semilocal__lean": True},
    "tuned": {"strategy__semilocal__eps": 0.02, "strategy__semilocal__tune_eps": True},
}


def recipe_of(name: str, **more: Any) -> Recipe:
    """A search that stops jobs."""
    given = {"training__steps": 80, "strategy__semilocal__segments": 3, "workload__noise": 0.3}
    return smoke(**given | RECIPES[name] | more)


def choices(document: dict[str, Any]) -> Any:
    """What a search chose and came to."""
    kept = ("schedule", "train_loss", "validation_loss", "test_loss", "checkpoint")
    chosen = [(s["chosen"], s["eps"], s["frozen_loss"]) for s in document["segments"]]
    return chosen, {name: document[name] for name in kept}


def statuses(document: dict[str, Any]) -> list[str]:
    """How each candidate ended."""
    return [c["status"] for segment in document["segments"] for c in segment["candidates"]]


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_found_is_what_is_found_without_stopping(name: str, tmp_path: Path) -> None:
    stopping = search(tmp_path / "on", recipe_of(name))
    whole = search(tmp_path / "off", recipe_of(name, training__stop_early=False))
    assert choices(stopping) == choices(whole)
    assert "stopped" in statuses(stopping)
    assert "stopped" not in statuses(whole)
    assert stopping["cost"]["steps_trained"] < whole["cost"]["steps_trained"]


@given(
    best=st.floats(0, 100),
    share=st.booleans(),
    eps=st.floats(0, 3),
    frozen=st.floats(0, 100) | st.just(math.inf),
    lower=st.floats(0, 1),
)
def test_no_lower_best_raises_the_limit_above_the_bound(
    best: float, share: bool, eps: float, frozen: float, lower: float
) -> None:
    tolerance = Tolerance(eps, share)
    bound = tolerance.bound(best, frozen)
    assert bound is not None
    assert tolerance.limit(best * lower, frozen) <= bound * (1 + 1e-12)


@pytest.mark.parametrize(
    ("tolerance", "best", "frozen"),
    [
        pytest.param(Tolerance(0.1), math.inf, None, id="nothing finished"),
        pytest.param(Tolerance(0.1), -0.5, None, id="a negative loss"),
        pytest.param(Tolerance(0.1, share=True), 1.0, None, id="a share, and no frozen weights yet"),
    ],
)
def test_there_is_no_bound_as_long_as_it_is_not_known(tolerance: Tolerance, best: float, frozen: float | None) -> None:
    assert tolerance.bound(best, frozen) is None


def test_without_eps_a_share_needs_no_frozen_weights() -> None:
    assert Tolerance(0.0, share=True).bound(2.0) == 2.0


# One job


class Losses:
    """A workload whose loss at each step is told."""

    def __init__(self, losses: Sequence[float]) -> None:
        self.losses = losses

    def model(self) -> torch.nn.Module:
        return torch.nn.Linear(1, 1)

    def batch(self, step: int) -> torch.Tensor:
        return torch.tensor(self.losses[step])

    def loss(self, model: Any, batch: torch.Tensor) -> torch.Tensor:
        return torch.add(batch, model.weight.sum(), alpha=0.0)

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        del model, split
        return {"loss": 1.0}


class Signed(Losses):
    signed_loss = True


SGD = replace(SPEC, optimizer=optimizers.SGD(momentum=0.0, nesterov=False, weight_decay=0.0))


def trained_steps(workload: Any, stop_above: float | None) -> tuple[int, float | None]:
    """How many steps are trained, and what is then known of the mean loss."""
    steps = len(workload.losses)
    job = SegmentJob(0, steps, Constant(0.0), stop_above=stop_above, evaluate=("validation",))
    trained = train(workload, SGD, job)
    assert bool(trained.metrics) == (trained.at_least is None)
    return len(trained.losses), trained.at_least


@pytest.mark.parametrize(
    ("workload", "stop_above", "expected"),
    [
        pytest.param(Losses([2.0] * 40), 1.0, (22, 1.1), id="as soon as the sum exceeds the whole mean"),
        pytest.param(Losses([2.0] * 40), 2.0, (40, None), id="no better than the limit"),
        pytest.param(Losses([2.0] * 40), None, (40, None), id="no limit"),
        pytest.param(
            Losses([4.0, math.nan, math.inf, *[4.0] * 37]), 1.0, (14, 1.2), id="non-finite losses do not count"
        ),
        pytest.param(Losses([-1.0, *[4.0] * 39]), 1.0, (40, None), id="a negative loss"),
        pytest.param(Signed([2.0] * 40), 1.0, (40, None), id="losses that may be negative"),
        pytest.param(Losses([9.0] * 5), 1.0, (1, 1.8), id="fewer steps than looks"),
    ],
)
def test_a_job_is_stopped_once_it_is_sure_to_exceed_its_limit(
    workload: Losses, stop_above: float | None, expected: tuple[int, float | None]
) -> None:
    assert trained_steps(workload, stop_above) == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 7, 20, 33, 1000])
def test_a_job_is_looked_at_some_20_times_and_not_at_its_end(steps: int) -> None:
    partial_mean = PartialMean(SegmentJob(0, steps, Constant(0.1), stop_above=1.0))
    looks = [done for done in range(1, steps + 1) if partial_mean.due(done)]
    assert len(looks) <= CHECKS
    assert steps not in looks
    assert len(looks) >= min(steps, CHECKS) // 2


# A batch


def ramps(*ends: float) -> list[SegmentJob]:
    return [SegmentJob(0, 40, PiecewiseLinear(((0, 0.0), (40, end)))) for end in ends]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with session_of(tmp_path / "store", smoke()) as opened:
        yield opened


def test_the_first_job_has_no_limit_and_later_ones_that_of_the_best_so_far(session: Session) -> None:
    batch = Batch("", ramps(0.1, 1e-4), tolerance=Tolerance(0.0))
    best, stopped = session.run_batch(batch)
    assert (best.status, stopped.status, stopped.mean_loss) == ("ok", "stopped", math.inf)
    assert stopped.at_least is not None
    assert stopped.at_least > best.mean_loss
    assert 0 < stopped.steps < 40
    assert session.cost(0.0).steps_trained == 40 + stopped.steps


def test_of_a_stopped_job_only_that_is_stored(session: Session) -> None:
    _, stopped = session.run_batch(Batch("", ramps(0.1, 1e-4), tolerance=Tolerance(0.0)))
    store = session.runner.store
    assert store.record(stopped.key) is None
    record = store.stopped(stopped.key)
    assert record is not None
    assert record.answer() == stopped
    assert [len(facts(store.path, folder)) for folder in ("jobs", "losses", "checkpoints", "stopped")] == [1, 1, 1, 1]


def test_a_job_that_finishes_above_its_limit_leaves_no_checkpoint(session: Session) -> None:
    whole, better = Session.run_batch(session, Batch("", ramps(0.09, 0.1)))
    forget(session.runner.store, whole.key)
    session.runner.store.drop_checkpoints({whole.key, better.key})
    del session.runner.records[whole.key]
    first, _ = session.run_batch(Batch("", ramps(0.09, 0.1), tolerance=Tolerance(0.0)))
    assert first.status in ("ok", "stopped")
    assert first.mean_loss > better.mean_loss
    assert not session.runner.store.checkpoint(first.key).exists()


def test_a_stopped_job_is_trained_to_its_end_where_more_may_be_lost(session: Session) -> None:
    jobs = ramps(0.1, 1e-4)
    _, stopped = session.run_batch(Batch("", jobs, tolerance=Tolerance(0.0)))
    assert session.run_batch(Batch("", jobs, tolerance=Tolerance(0.0)))[1] == stopped, "known: not trained again"
    _, whole = session.run_batch(Batch("", jobs, tolerance=Tolerance(100.0)))
    assert (whole.status, whole.steps) == ("ok", 40)
    assert session.runner.records[whole.key].discarded == stopped.steps
    assert session.runner.store.stopped(stopped.key) is None
    assert session.cost(0.0).steps_trained == 80 + stopped.steps


def test_without_a_tolerance_every_job_is_trained_to_its_end(session: Session) -> None:
    jobs = ramps(0.1, 1e-4)
    session.run_batch(Batch("", jobs, tolerance=Tolerance(0.0)))
    assert [result.status for result in session.run_batch(Batch("", jobs))] == ["ok", "ok"]


def test_a_job_that_may_yet_count_as_diverged_sets_no_limit(session: Session, tmp_path: Path) -> None:
    strict = replace(session.recipe, divergence=Divergence(margin=1e-9))
    with session_of(tmp_path / "other", strict) as ours:
        jobs = ramps(1.0, 1e-4)  # the first rises at its end, by noise alone
        results = ours.run_batch(Batch("", jobs, tolerance=Tolerance(0.0)))
        limit = ours.limit(Batch("", jobs, tolerance=Tolerance(0.0)), [job.key(ours.runner.spec) for job in jobs], 0.0)
    ok = [ours.runner.records[result.key] for result in results if result.status == "ok"]
    sound = [record.mean_loss for record in ok if is_sound(strict.divergence, record, 0.0)]
    assert limit == min(sound, default=None)


def test_an_executor_that_makes_a_list_at_once_saves_nothing_and_changes_nothing(session: Session) -> None:
    @dataclass
    class Listing:
        inner: Any

        def run(self, spec: Any, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
            return iter(self.inner.run(spec, list(jobs)))

        def close(self) -> None:
            self.inner.close()

    session.runner.executor = Listing(session.runner.executor)
    results = session.run_batch(Batch("", ramps(0.1, 1e-4), tolerance=Tolerance(0.0)))
    assert [result.status for result in results] == ["ok", "ok"]


def test_jobs_are_told_their_limit_when_they_are_taken_and_frozen_weights_have_none() -> None:
    limits = iter([None, 3.0, 2.0, 1.0])
    jobs = [SegmentJob(0, 10, Constant(0.0)), *ramps(0.1, 0.2, 0.3)]
    limited = Limited(jobs, lambda: next(limits))
    assert [job.stop_above for job in limited] == [None, None, 3.0, 2.0]
    assert (len(limited), limited[-1].stop_above) == (4, 1.0)
    assert list(limited[:1]) == jobs[:1]


# A search


def interrupted_after(jobs: int) -> Any:
    """An observer that interrupts a search after so many jobs."""

    class Watch:
        seen = 0

        @hookimpl
        def job_finished(self) -> None:
            self.seen += 1
            if self.seen == jobs:
                raise KeyboardInterrupt

    return Watch()


@pytest.fixture
def watch() -> Iterator[Callable[[Any], Any]]:
    """Registers an observer until it is told to go, at the latest for the length of a test."""
    manager = registry().manager
    names: list[str] = []

    def add(observer: Any) -> Callable[[], Any]:
        names.append(manager.register(observer) or "")
        return lambda: manager.unregister(name=names.pop())

    yield add
    for name in names:
        manager.unregister(name=name)


@pytest.mark.parametrize("name", RECIPES)
def test_a_search_that_was_interrupted_goes_on_to_the_same_document(
    name: str, tmp_path: Path, watch: Callable[[Any], Callable[[], Any]]
) -> None:
    reference = search(tmp_path / "whole", recipe_of(name))
    for jobs in (3, 14):
        place, remove = tmp_path / str(jobs), watch(interrupted_after(jobs))
        with pytest.raises(KeyboardInterrupt):
            search(place, recipe_of(name))
        remove()
        before = facts(place, "stopped")
        assert settled(search(place, recipe_of(name))) == settled(reference)
        kept = facts(place, "stopped")
        assert all(kept[key] == before[key] for key in kept.keys() & before.keys() if name != "tuned")


def test_a_replay_of_a_finished_search_says_the_same(tmp_path: Path) -> None:
    first = search(tmp_path, recipe_of("share"))
    assert search(tmp_path, recipe_of("share")) == first
    (tmp_path / "runs" / first["run"] / "result.json").unlink()
    assert settled(search(tmp_path, recipe_of("share"))) == settled(first)


def test_a_fresh_search_forgets_what_was_stopped(tmp_path: Path) -> None:
    first = search(tmp_path, recipe_of("nats"))
    before = facts(tmp_path, "stopped")
    assert settled(search(tmp_path, recipe_of("nats"), fresh=True)) == settled(first)
    after = facts(tmp_path, "stopped")
    assert after.keys() == before.keys()
    assert all(after[name][:2] != before[name][:2] for name in before)


def test_searches_with_another_eps_share_a_store_and_choose_as_alone(tmp_path: Path) -> None:
    for eps in (0.0, 0.2, 0.01, 0.05):
        shared = search(tmp_path / "shared", recipe_of("nats", strategy__semilocal__eps=eps))
        alone = search(tmp_path / str(eps), recipe_of("nats", strategy__semilocal__eps=eps))
        assert choices(shared) == choices(alone)


def test_a_damaged_fact_of_a_stopped_job_is_made_again(tmp_path: Path) -> None:
    first = search(tmp_path, recipe_of("nats"))
    for path in (tmp_path / "stopped").iterdir():
        path.write_text(path.read_text().replace('"at_least": ', '"at_least": 9'))
    (tmp_path / "runs" / first["run"] / "result.json").unlink()
    again = search(tmp_path, recipe_of("nats"))
    assert (choices(again), statuses(again)) == (choices(first), statuses(first))


def test_only_a_search_without_stopping_has_another_name(tmp_path: Path) -> None:
    on, off = recipe_of("nats"), recipe_of("nats", training__stop_early=False)
    assert [RunIdentity.of("semilocal", each, None).training.get("stop_early") for each in (on, off)] == [None, False]
    assert prepare(on).identity == prepare(off).identity
    search(tmp_path, off)
    assert search(tmp_path, on)["cost"]["steps_trained"] == 0, "its jobs are those of the search before"
