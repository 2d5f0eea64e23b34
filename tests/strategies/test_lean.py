"""Lean search: few candidates, the choice of all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Tolerance
from lrctl.planning.estimate import estimate
from lrctl.storage.identity import RunIdentity
from lrctl.testing import Landscape, check_strategy, play
from lrctl_strategies.semilocal.candidates import ratios
from lrctl_strategies.semilocal.lean import first_of, next_of
from lrctl_strategies.semilocal.params import Local, SemiLocal
from lrctl_strategies.semilocal.search import local, semilocal
from lrctl_strategies.semilocal.tune_eps import semilocal_strategy
from searches import search, smoke


def lean(losses: list[float], limit: Callable[[float], float], start: list[int] | None = None) -> tuple[int, list[int]]:
    """The candidate that a lean search picks, and those that it tried."""
    tried: dict[int, float] = {}
    wanted = first_of(ratios(len(losses) // 2), 1.0) if start is None else start
    while wanted:
        assert not set(wanted) & tried.keys(), "a candidate was tried twice"
        tried |= {i: losses[i] for i in wanted}
        wanted = next_of(tried, len(losses), limit)
    return choice(tried, limit), sorted(tried)


def choice(losses: dict[int, float], limit: Callable[[float], float]) -> int:
    """The largest LR within eps of the best."""
    return max(i for i, loss in losses.items() if loss <= limit(min(losses.values())))


def exhaustive(losses: list[float], limit: Callable[[float], float]) -> int:
    """The same with all candidates."""
    return choice(dict(enumerate(losses)), limit)


@st.composite
def valleys(draw: st.DrawFn, least: int = 2, most: int = 30) -> list[float]:
    """Losses that fall strictly to one minimum and rise strictly from there; at the top they may diverge."""
    count = draw(st.integers(least, most))
    lowest = draw(st.integers(0, count - 1))
    steps = draw(st.lists(st.floats(1e-6, 3), min_size=count, max_size=count))
    floor = draw(st.floats(0, 5))
    losses = [floor + sum(steps[min(i, lowest) : max(i, lowest)]) for i in range(count)]
    diverged = draw(st.integers(lowest + 1, count))
    return [loss if i < diverged else math.inf for i, loss in enumerate(losses)]


@given(
    losses=valleys(),
    eps=st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 1e9]),
    gained=st.none() | st.floats(0, 10),
    data=st.data(),
)
def test_where_losses_have_one_minimum_the_choice_is_that_of_all(
    losses: list[float], eps: float, gained: float | None, data: st.DataObject
) -> None:
    tolerance, frozen = Tolerance(eps, share=gained is not None), None if gained is None else min(losses) + gained
    start = {0, len(losses) - 1, *data.draw(st.lists(st.integers(0, len(losses) - 1)))}

    def limit(best: float) -> float:
        return tolerance.limit(best, frozen)

    pick, _ = lean(losses, limit, sorted(start))
    assert pick == exhaustive(losses, limit)


@given(losses=valleys(20, 20), eps=st.sampled_from([0.0, 0.1, 1.0]))
def test_of_20_candidates_at_most_15_are_tried(losses: list[float], eps: float) -> None:
    _, tried = lean(losses, lambda best: best + eps)
    assert len(tried) <= 15


FALLING = [1.0 + 0.1 * i for i in range(20)]

CASES: dict[str, tuple[list[float], float, int, int]] = {
    "lowest at 0, all others worse than eps": (FALLING, 0.05, 0, 7),
    "lowest at 0, some within eps": (FALLING, 0.55, 5, 8),
    "all within eps": (FALLING, 5.0, 19, 4),
    "the largest has the lowest loss": (FALLING[::-1], 0.0, 19, 8),
    "the larger half diverged": ([*FALLING[:10], *[math.inf] * 10], 5.0, 9, 9),
}


@pytest.mark.parametrize(("losses", "eps", "pick", "most"), CASES.values(), ids=CASES)
def test_few_candidates_are_tried(losses: list[float], eps: float, pick: int, most: int) -> None:
    picked, tried = lean(losses, lambda best: best + eps)
    assert picked == pick
    assert len(tried) <= most


def test_an_lr_within_eps_above_others_that_are_not_is_picked() -> None:
    losses = [*FALLING[:19], 1.0]
    assert lean(losses, lambda best: best + 0.25)[0] == 19


def test_candidates_above_the_pick_are_verified_though_one_beside_it_diverged() -> None:
    losses = [1.0, 1.1, 1.2, math.inf, 1.2, *[3.0] * 15]
    pick, tried = lean(losses, lambda best: best + 0.5)
    assert pick == 4
    assert {5, 6} <= set(tried)


def test_where_all_tried_so_far_diverged_all_others_are_tried() -> None:
    losses = [math.inf] * 20
    losses[4] = 2.0
    assert lean(losses, lambda best: best)[0] == 4
    assert len(lean([math.inf] * 20, lambda best: best)[1]) == 20


def test_what_is_above_the_limit_counts_alike_whether_it_was_stopped_or_not() -> None:
    losses = [1.0, 1.2, 1.4, 1.1, 2.0, 1.6, 3.0, 2.5]
    for eps in (0.0, 0.15, 0.45):
        stopped = [loss if loss <= 1.0 + eps else math.inf for loss in losses]
        assert lean(losses, lambda best, eps=eps: best + eps) == lean(stopped, lambda best, eps=eps: best + eps)  # type: ignore[misc]


# The search


def sloped(job: SegmentJob) -> float:
    """A valley over the LR at a segment's end, at 1e-2 in the first half of the run and at 1e-3 in the second."""
    if job.frozen:
        return 9.0
    best = 1e-2 if job.start < 300 else 1e-3
    return abs(math.log10((job.lrs or [0.0])[-1] + 1e-5) - math.log10(best)) + 1 / (1 + job.stop)


UNITS: tuple[Literal["nats", "progress"], ...] = ("nats", "progress")


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("eps", [0.0, 0.2, 1.5], ids=str)
def test_a_lean_search_chooses_as_the_whole_one_and_asks_for_less(
    unit: Literal["nats", "progress"], eps: float
) -> None:
    whole, asked = play(semilocal, SemiLocal(eps, unit), 600, sloped)
    found, fewer = play(semilocal, SemiLocal(eps, unit, lean=True), 600, sloped)
    assert (found.schedule, found.checkpoint) == (whole.schedule, whole.checkpoint)
    jobs = [len({job for batch in batches for job in batch.jobs}) for batches in (asked, fewer)]
    assert jobs[1] < 0.7 * jobs[0]


def test_local_search_can_be_lean_too() -> None:
    whole, _ = play(local, Local(), 600, sloped)
    found, _ = play(local, Local(lean=True), 600, sloped)
    assert found.schedule == whole.schedule


def test_candidates_that_were_not_tried_are_skipped_in_the_trace() -> None:
    found, _ = play(semilocal, SemiLocal(0.1, "nats", lean=True), 600, sloped)
    for segment in (segment for segment in found.trace if segment.lr_start):
        assert [c.lr for c in segment.candidates] == [ratio * segment.lr_start for ratio in ratios(10)]
        skipped = [c for c in segment.candidates if c.status == "skipped"]
        assert skipped
        assert all((c.mean_loss, c.key) == (math.inf, "") for c in skipped)
        assert segment.winner.status == "ok"


def test_each_round_names_what_was_tried_before_and_keeps_its_checkpoints() -> None:
    _, batches = play(semilocal, SemiLocal(0.1, "nats", lean=True), 600, sloped)
    for earlier, later in itertools.pairwise(batches):
        if earlier.jobs[0].start == later.jobs[0].start:
            assert set(earlier.jobs) < set(later.jobs)
            assert len(later.keep) >= sum(job.checkpoint for job in earlier.jobs)


@pytest.mark.parametrize("limit", [0.0201, 0.0101])
def test_no_candidate_exceeds_max_lr(limit: float) -> None:
    _, batches = play(semilocal, SemiLocal(1e9, "nats", max_lr=limit, lean=True), 600, sloped)
    assert max(lr for batch in batches for job in batch.jobs for lr in job.lrs or []) <= limit


def test_a_small_grid_is_tried_as_a_whole() -> None:
    found, _ = play(semilocal, SemiLocal(0.1, "nats", grid_size=1, lean=True), 600, sloped)
    assert {c.status for segment in found.trace if segment.lr_start for c in segment.candidates} == {"ok"}


def shaken(seed: int) -> Landscape:
    """A landscape with several minima."""
    return lambda job: sloped(job) + 0.3 * math.sin(seed + 1e4 * sum(job.lrs or []))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("eps", [0.0, 0.3], ids=str)
def test_stopping_does_not_change_the_path_even_with_several_minima(seed: int, eps: float) -> None:
    p = SemiLocal(eps, "progress", lean=True)
    (found, asked), (stopped, same) = (play(semilocal, p, 600, shaken(seed), stopping=on) for on in (False, True))
    assert (found.schedule, found.checkpoint) == (stopped.schedule, stopped.checkpoint)
    assert [batch.jobs for batch in asked] == [batch.jobs for batch in same]


@pytest.mark.parametrize("unit", UNITS)
def test_it_keeps_the_contract(unit: Literal["nats", "progress"]) -> None:
    check_strategy(semilocal, SemiLocal(0.4, unit, lean=True))
    check_strategy(local, Local(lean=True))
    check_strategy(semilocal_strategy, SemiLocal(0.4, unit, tune_eps=True, lean=True))


def test_the_document_says_which_candidates_were_skipped(tmp_path: Path) -> None:
    few = {"training__steps": 24, "strategy__semilocal__segments": 3, "strategy__semilocal__grid_size": 6}
    whole = search(tmp_path / "whole", smoke(**few))
    document = search(tmp_path / "lean", smoke(**few, strategy__semilocal__lean=True))
    assert document["schedule"] == whole["schedule"]
    assert document["cost"]["steps_trained"] < whole["cost"]["steps_trained"]
    skipped = [c for segment in document["segments"] for c in segment["candidates"] if c["status"] == "skipped"]
    assert skipped
    assert all(c["mean_loss"] is None and c["key"] == "" for c in skipped)
    tried = sum(c["status"] != "skipped" for segment in document["segments"] for c in segment["candidates"])
    assert document["cost"]["jobs"] == tried, "a job that several rounds name counts once"


def test_only_a_lean_search_has_a_name_of_its_own() -> None:
    assert "lean" not in RunIdentity.of("semilocal", smoke(), None).strategy
    for command in ("semilocal", "local"):
        recipe = smoke(**{f"strategy__{command}__lean": True})
        assert RunIdentity.of(command, recipe, None).strategy["lean"] is True
        assert "lean = true" in recipe.to_toml(command)


@pytest.mark.parametrize("lean", [False, True], ids=["whole", "lean"])
def test_a_dry_run_counts_the_jobs_that_are_asked_for(lean: bool, tmp_path: Path) -> None:
    told = estimate("semilocal", smoke(strategy__semilocal__lean=lean), store=tmp_path, measure=False)
    assert (told["jobs"] < 9 + 3 * 6) is lean
