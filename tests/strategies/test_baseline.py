"""Tuned baselines on scripted landscapes: a run's loss is a function of its schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lrctl.contracts.axes import tunable
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, drive
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.registry.registry import registry
from lrctl.testing import SPEC, Scripted, play, run_spec
from lrctl_strategies.baseline.params import Baseline
from lrctl_strategies.baseline.search import baseline
from lrctl_strategies.grids import GEOMETRIC, extended

STEPS = 40
Landscape = Callable[[Any], float]


def tuned(landscape: Landscape, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """Baselines on a landscape that gives the loss of whole runs; 1e9 stands for all other jobs."""
    return play(baseline, Baseline(**params), STEPS, lambda job: landscape(job.schedule) if job.evaluate else 1e9)


def bowl(peak: float, **best: float) -> Landscape:
    """The loss is lowest at a peak LR and at values of other parameters."""

    def loss(schedule: Any) -> float:
        off = [abs(math.log10(schedule.peak_lr / peak))]
        off += [abs(getattr(schedule, name, value) - value) for name, value in best.items()]
        return 1.0 + sum(off)

    return loss


def test_it_tunes_the_base_lr_then_warmup_then_decay() -> None:
    found, _ = tuned(bowl(3e-3, warmup=0.25, decay=0.05), family=("wsd",))
    (entry,) = found.results
    assert {name: entry.schedule.params[name] for name in ("peak_lr", "warmup", "decay")} == {
        "peak_lr": 3.33e-3,
        "warmup": 0.25,
        "decay": 0.05,
    }
    assert [(t["parameter"], t["value"]) for t in entry.details["tried"]] == [
        *(("peak_lr", lr) for lr in sorted(GEOMETRIC)),
        *(("warmup", share) for share in (0.0, 0.05, 0.1, 0.25, 0.5)),
        *(("decay", share) for share in (0.0, 0.05, 0.1, 0.25, 0.5)),
    ]


def test_a_run_that_is_known_is_not_trained_again() -> None:
    found, batches = tuned(bowl(1e-3), family=("wsd",))
    assert len(found.results[0].details["tried"]) == 9 + 5 + 5
    assert sum(bool(job.evaluate) for batch in batches for job in batch.jobs) == 9 + 4 + 4


def test_all_families_are_listed_best_first_and_the_best_is_handed_over() -> None:
    offset = {"WSD": 0.2, "Cosine": 0.1, "Linear": 0.3}
    found, _ = tuned(lambda s: bowl(1e-3)(s) + offset[type(s).__name__])
    assert [entry.schedule.family for entry in found.results] == ["cosine", "wsd", "linear"]
    assert type(found.schedule).__name__ == "Cosine"
    assert found.checkpoint == found.results[0].checkpoint


@pytest.mark.parametrize(
    ("best", "expected", "told"),
    [(0.9, 0.9, ["0.3", "0.9", "2.7"]), (3e-6, 3e-6, ["3e-06", "9e-07"]), (1e-3, 1e-3, [])],
    ids=["above", "below", "inside"],
)
def test_a_grid_is_extended_while_the_best_is_on_its_edge(best: float, expected: float, told: list[str]) -> None:
    found, _ = tuned(bowl(best), family=("triangle",))
    assert found.results[0].schedule.params["peak_lr"] == pytest.approx(expected)
    assert [note.rpartition(" ")[2] for note in found.notes] == told
    assert all("on the edge of its grid, so it was extended" in note for note in found.notes)


def test_a_length_s_grid_is_extended_as_far_as_the_family_allows() -> None:
    found, _ = tuned(bowl(1e-3, warmup=0.0, decay=1.0), family=("wsd",))
    (entry,) = found.results
    assert (entry.schedule.params["warmup"], entry.schedule.params["decay"]) == (0.0, 1.0)
    assert [note.rpartition(" ")[2] for note in found.notes[:2]] == ["0.75", "1"]
    assert found.notes[2:] == ("wsd: the best decay, 1, is at the end of its range",)


def test_a_refused_extension_is_told_once() -> None:
    found, _ = tuned(bowl(1e-3, warmup=0.25, decay=1.0), family=("wsd",))
    assert found.results[0].schedule.params["decay"] == 0.75
    assert sum("decay 1 was left out" in note for note in found.notes) == 1


def test_what_is_told_is_told_once() -> None:
    families = {"WSD": bowl(1e-3, warmup=0.0, decay=1.0), "Triangle": bowl(0.9)}
    found, _ = tuned(lambda s: families[type(s).__name__](s), family=("wsd", "triangle"))
    assert len(found.notes) == len(set(found.notes)) > 3


def test_an_extension_without_end_ends_and_says_so() -> None:
    found, _ = tuned(lambda s: 1 / s.peak_lr, family=("triangle",))
    assert len(found.results[0].details["tried"]) == 9 + 8
    assert found.notes[-1] == "triangle: the best peak_lr is on the edge of its grid, and the grid ends there"


def test_a_grid_of_one_value_is_that_value() -> None:
    found, _ = tuned(bowl(1e-3), family=("triangle",), grid=(0.5,))
    assert found.results[0].full_runs == 1


def test_refining_halves_the_grid_s_factor_each_time() -> None:
    found, _ = tuned(bowl(2e-3), family=("triangle",), grid=(1e-4, 1e-3, 1e-2), refine=3)
    tried = [t["value"] for t in found.results[0].details["tried"]]
    assert tried[3:] == [0.000316, 0.00316, 0.00178, 0.00562, 0.00133, 0.00237]
    assert found.results[0].schedule.params["peak_lr"] == 0.00178


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("warmup=0.2,0.3", {"wsd": 0.3, "cosine": 0.3}),
        ("wsd.warmup=0.2,0.3", {"wsd": 0.3, "cosine": 0.25}),
        ("cosine.end=0,0.5", {"wsd": 0.25, "cosine": 0.25}),
    ],
)
def test_an_own_grid_replaces_that_of_the_family(axis: str, expected: dict[str, float]) -> None:
    found, _ = tuned(bowl(1e-3, warmup=0.28), family=("wsd", "cosine"), axis=(axis,))
    assert {entry.schedule.family: entry.schedule.params["warmup"] for entry in found.results} == expected
    ends = {
        t["value"]
        for e in found.results
        if e.schedule.family == "cosine"
        for t in e.details["tried"]
        if t["parameter"] == "end"
    }
    assert ends >= {0.0, 0.5} if axis.startswith("cosine") else not ends


def test_a_family_s_own_grid_wins_over_the_general_one_wherever_it_stands() -> None:
    for axis in (("wsd.warmup=0.2", "warmup=0.05,0.3"), ("warmup=0.05,0.3", "wsd.warmup=0.2")):
        found, _ = tuned(bowl(1e-3), family=("wsd", "cosine"), axis=axis)
        tried = {
            e.schedule.family: [t["value"] for t in e.details["tried"] if t["parameter"] == "warmup"]
            for e in found.results
        }
        assert tried == {"wsd": [0.2], "cosine": [0.05, 0.3]}


def test_a_grid_that_is_given_in_two_parts_is_one_grid() -> None:
    found, _ = tuned(bowl(1e-3), family=("cosine",), axis=("warmup=0.2", "warmup=0.3,0.2"))
    assert [t["value"] for t in found.results[0].details["tried"] if t["parameter"] == "warmup"] == [0.2, 0.3]


def test_a_value_that_the_family_refuses_is_left_out_and_told() -> None:
    found, _ = tuned(bowl(1e-3, warmup=0.8), family=("wsd",), axis=("warmup=0.1,0.8", "decay=0.1,0.5"))
    (entry,) = found.results
    assert (entry.schedule.params["warmup"], entry.schedule.params["decay"]) == (0.8, 0.1)
    assert any(note.startswith("wsd: decay 0.5 was left out: warmup + decay") for note in found.notes)


def test_choices_are_made_by_the_metric_that_is_asked_for() -> None:
    def losses(job: SegmentJob) -> float:
        return bowl(1e-3)(job.schedule)

    found, _ = play(baseline, Baseline(family=("triangle",), metric="train"), STEPS, losses)
    assert found.chosen_by == "training loss"
    assert tuned(bowl(1e-3))[0].chosen_by == "validation loss"


def test_a_family_whose_every_run_diverged_is_left_out_and_told() -> None:
    found, _ = tuned(lambda s: math.inf if type(s).__name__ == "WSD" else bowl(1e-3)(s), family=("wsd", "linear"))
    assert [entry.schedule.family for entry in found.results] == ["linear"]
    assert found.notes == ("wsd: every run diverged, so it is left out; lower the LRs of --grid",)


def test_a_diverged_run_is_never_chosen() -> None:
    found, _ = tuned(lambda s: math.inf if s.peak_lr > 2e-3 else 1 - s.peak_lr, family=("triangle",))
    assert found.results[0].schedule.params["peak_lr"] == 1e-3


def test_when_every_run_diverged_the_error_says_what_to_change() -> None:
    with pytest.raises(
        NoValidCandidateError, match="every run of wsd, cosine, linear diverged; lower the LRs of --grid"
    ):
        tuned(lambda _: math.inf)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"family": ("wds",)}, "--family: unknown schedule 'wds'; did you mean 'wsd'"),
        ({"family": ("piecewise-linear",)}, "needs the fields 'steps' and 'peak_lr'"),
        ({"axis": ("warmupp=0,1",)}, "did you mean 'warmup'"),
        ({"axis": ("cosine.decay=0,1",)}, "unknown parameter"),
        ({"axis": ("triangle.warmup=0,1",)}, "unknown family; choose from: cosine, linear, wsd"),
        ({"axis": ("warmup=2,3",)}, "warmup must be from 0 to 1, a fraction of the run"),
    ],
    ids=["unknown family", "no peak", "unknown parameter", "of another family", "of no family here", "out of range"],
)
def test_what_cannot_be_tuned_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        next(baseline(Baseline(**params), RunSpec(STEPS)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"family": ()}, "family: at least one"),
        ({"grid": ()}, "grid: must hold LRs greater than 0"),
        ({"grid": (0.1, 0.0)}, "grid: must hold LRs greater than 0"),
        ({"refine": -1}, "refine: must be from 0 to 10"),
        ({"refine": 99999}, "refine: must be from 0 to 10"),
        (
            {"grid": (0.1,), "refine": 3},
            "refine: a grid of one LR has no factor to halve; give grid another beside 0.1",
        ),
        ({"grid": (0.1, 0.1), "refine": 3}, "refine: a grid of one LR has no factor to halve"),
        *(
            ({"axis": (text,)}, "axis: must be a parameter and numbers for it")
            for text in ("warmup", "=1", "warmup=", "w=a")
        ),
    ],
)
def test_bad_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Baseline(**params)


def test_every_tunable_family_can_be_tuned() -> None:
    families = tuple(part.name for part in registry().of("schedule") if tunable(part.target))
    others = {part.name for part in registry().of("schedule")} - set(families)
    assert others == {"piecewise-linear", "greedy", "plateau", "hypergradient", "line-search"}
    found, _ = tuned(lambda s: 1 + sum(s(step) for step in range(STEPS)), family=families, grid=(0.1, 0.2))
    assert {entry.schedule.family for entry in found.results} == set(families)


def test_the_saving_of_shared_prefixes_is_stated() -> None:
    found, batches = tuned(bowl(1e-3, warmup=0.1), family=("wsd",))
    sharing = found.summary["prefix_sharing"]
    assert sharing["steps_separate"] == 17 * STEPS
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}
    assert sharing["steps"] == sum(job.stop - job.start for job in jobs.values())
    assert sharing["steps"] < sharing["steps_separate"]
    assert found.results[0].full_runs == pytest.approx(sharing["steps"] / STEPS)
    told = f"Shared prefixes: {sharing['steps']} steps instead of {sharing['steps_separate']}."
    assert found.tables[0].notes[1:] == (told, "The best by validation loss is handed over.")


def test_the_cost_of_a_search_counts_validation_losses_and_what_families_share_once() -> None:
    script, jobs = Scripted(lambda job: bowl(1e-3)(job.schedule) if job.evaluate else 1e9), dict[str, JobResult]()

    def run_batch(batch: Batch) -> list[JobResult]:
        results = script.run_batch(batch)
        done = [replace(each, evaluated=3 * len(job.evaluate)) for job, each in zip(batch.jobs, results, strict=True)]
        jobs.update({each.key: each for each in done})
        return done

    found = drive(baseline(Baseline(family=("wsd", "cosine")), run_spec(STEPS)), run_batch)
    assert found.summary["full_runs"] == pytest.approx(sum(each.spent_steps for each in jobs.values()) / STEPS)
    assert found.summary["full_runs"] < sum(entry.full_runs for entry in found.results)


def test_a_person_is_shown_each_family_best_first() -> None:
    found, _ = tuned(lambda s: s.peak_lr + hasattr(s, "cooldown"), family=("wsd", "cosine"))
    (table,) = found.tables
    assert [row[0] for row in table.rows] == [entry.name for entry in found.results] == ["cosine", "wsd"]
    assert table.notes[-1] == "The best by validation loss is handed over."


@pytest.mark.parametrize(
    ("values", "up", "expected"),
    [([1.0, 2.0], True, 3.0), ([1.0, 2.0], False, 0.0), ([0.0, 0.05, 0.1], False, 0.0), ([8.0, 9.5], True, 10.0)],
    ids=["on", "back", "not below the range", "not above the range"],
)
def test_a_grid_goes_on_as_its_last_two_values_do(values: list[float], up: bool, expected: float) -> None:
    from lrctl.contracts.axes import Axis

    assert extended(values, Axis(0, 10), up=up) == expected
