"""Contests whose short runs learn nothing: they are made longer, or the LRs higher."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.errors import NoValidCandidateError, UsageError
from strategies.contests import (
    BEST,
    DUEL,
    QUICKSTART,
    SHORT,
    STEPS,
    UNTRAINED,
    World,
    entries,
    noted,
    optimizer_of,
    peak,
)


def landscape(learns: Callable[[SegmentJob], bool]) -> World:
    """Runs of yours that do not learn end about as they began, in an order by the LR that means nothing."""
    usual = World({"yours": 3.7, "muon": 3.6, "sgd": 3.65}, best=BEST | {"yours": 0.16})

    def loss(job: SegmentJob) -> float:
        if not job.stop or learns(job):
            return usual.loss(job)
        return UNTRAINED - 0.007 * math.sin(1e4 * peak(job)) ** 2

    return World({}, rough=loss)


def short_lengths(world: World, name: str = "yours") -> list[int]:
    return sorted({job.steps for job in world.jobs if optimizer_of(job) == name} - {0, STEPS})


def test_where_yours_learns_only_at_thirty_times_the_lr_short_runs_go_up_to_it() -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours" or peak(job) > 0.14)
    found = world.play(**DUEL)
    assert entries(found)["yours"]["lr"] == pytest.approx(0.16, rel=0.5)
    assert short_lengths(world) == [SHORT]
    assert peak(next(job for job in world.jobs if optimizer_of(job) == "muon" and job.steps)) < 0.01
    assert "the optimizer is worth 0.1" in found.notes[0]


def test_short_runs_in_which_yours_learns_nothing_are_made_longer() -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours" or job.steps > 2 * SHORT)
    found = world.play(**DUEL, budget=12)
    assert short_lengths(world) == [SHORT, 2 * SHORT, 4 * SHORT]
    assert short_lengths(world, "muon") == [4 * SHORT], "all are judged by runs of one length"
    assert found.summary["short_runs"]["steps"] == 4 * SHORT
    assert world.full_runs <= 12


@pytest.mark.parametrize(("budget", "longest"), [(6, SHORT), (40, round(STEPS / 3))], ids=["budget", "run"])
def test_where_yours_learns_nothing_in_the_longest_short_runs_it_says_what_to_do(budget: float, longest: int) -> None:
    world = landscape(lambda job: optimizer_of(job) != "yours")
    with pytest.raises(NoValidCandidateError) as error:
        world.play(**DUEL, budget=budget)
    assert f"yours learned nothing in short runs of {longest} of 200 steps" in str(error.value)
    assert "--short-run 0.3 with a larger --budget" in str(error.value)
    assert "--contender 'yours lr=0.1'" in str(error.value)
    assert max(short_lengths(world)) == longest
    assert not world.whole_runs


def test_nobody_is_dropped_by_short_runs_in_which_it_learned_nothing() -> None:
    world = landscape(lambda job: optimizer_of(job) != "muon" or job.steps == STEPS)
    found = world.play(contender=("yours lr=0.1", "muon", "sgd"), budget=12)
    assert "muon" in {optimizer_of(job) for job in world.whole_runs}
    assert not noted(found, "ruled out")
    assert noted(found, "learned nothing").startswith(f"muon learned nothing in short runs of {SHORT} steps")


@pytest.mark.parametrize("lost", ["yours", "muon"])
def test_a_whole_run_that_learned_nothing_is_told_first(lost: str) -> None:
    world = landscape(lambda job: (lost != "muon" and optimizer_of(job) != "yours") or job.steps < STEPS)
    found = world.play(contender=("yours lr=0.1", "muon"))
    assert found.notes[0].startswith(f"{found.summary['winner'] if lost == 'muon' else lost} learned nothing at 200")
    assert not noted(found, "the optimizer is worth")


@pytest.mark.parametrize("reserve", [1000, 0], ids=["training", "validation"])
def test_a_slight_gain_is_none(reserve: int) -> None:
    world = landscape(lambda job: job.steps > STEPS)
    world.reserve = reserve
    with pytest.raises(NoValidCandidateError, match="yours learned nothing"):
        world.play(**DUEL, budget=12)


def test_yours_begins_at_the_lr_that_is_told() -> None:
    world = World(QUICKSTART)
    found = world.play(contender=("yours lr=0.02",))
    assert [run["lr"] for run in entries(found)["yours"]["runs"]][1] == 0.02
    assert len(entries(found)) == 5, "the usual ones take part"
    assert "adamw-by-role" not in entries(World(QUICKSTART, unfit=("adamw",)).play(contender=("yours lr=0.02",)))
    with pytest.raises(UsageError, match="two are named yours"):
        world.play(contender=("yours lr=1", "yours lr=2"))
