"""Contests of optimizers on made-up losses: who wins, by how much, and what it costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrctl.contracts.optimizers import SGD
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import check_strategy, run_spec
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.search import contest
from strategies.contests import BEST, DUEL, QUICKSTART, SHORT, STEPS, World, entries, noted, optimizer_of, rough


def test_it_is_a_sound_strategy() -> None:
    check_strategy(contest, Contest())
    check_strategy(contest, Contest(contender=("sgd momentum=0.9",), score_on="validation", budget=20), steps=300)


def test_the_best_is_found_and_handed_over_with_its_settings() -> None:
    world = World(QUICKSTART)
    found = world.play()
    assert found.summary["winner"] == "adamw-by-role"
    handed = found.results[0]
    assert handed.settings == {
        "name": "adamw",
        "lr_scale": {"embedding": 8.0, "output": 8.0},
        "decay_scale": {"embedding": 0.0, "output": 0.0},
    }
    assert (handed.checkpoint, handed.seed, handed.optimizer) == (found.checkpoint, 0, "adamw")
    assert entries(found)["adamw-by-role"]["difference"]["mean"] == pytest.approx(-0.1, abs=0.02)


def test_who_wins_short_runs_and_loses_whole_ones_is_found_out() -> None:
    world = World(QUICKSTART, short={"muon": 4.0, "adamw": 4.01})
    found = world.play()
    assert {optimizer_of(job) for job in world.whole_runs} == {"muon", "adamw", "yours"}
    assert found.summary["winner"] == "adamw-by-role"


def test_yours_stays_where_the_best_of_short_runs_is_worse_in_the_end() -> None:
    found = World({"yours": 3.6, "muon": 3.7}, short={"yours": 4.2, "muon": 4.0}).play(**DUEL)
    assert found.summary["winner"] == "yours"
    assert (found.results[0].optimizer, found.results[0].name) == (None, "yours")
    assert "none of those that were tried is better" in found.notes[0]


def test_yours_stays_where_it_is_level() -> None:
    found = World({"yours": 3.6, "muon": 3.6}, curvature=0.0).play(**DUEL, budget=20)
    assert found.summary["winner"] == "yours"
    assert entries(found)["muon"]["difference"]["mean"] == 0


def test_one_that_diverges_everywhere_is_left_out() -> None:
    found = World(QUICKSTART | {"adamw": math.inf}, short={"adamw": math.inf}).play()
    assert found.summary["winner"] == "muon"
    assert entries(found)["adamw-by-role"]["test_loss"] is None
    assert "adamw-by-role" in noted(found, "ruled out")


def test_one_that_diverges_on_whole_runs_only_is_not_handed_over() -> None:
    found = World(QUICKSTART | {"adamw": math.inf}, short={"adamw": 4.0, "muon": 4.1}).play()
    assert found.summary["winner"] == "muon"


def test_one_of_the_default_ones_that_does_not_fit_the_model_is_left_out() -> None:
    found = World(QUICKSTART, unfit=("adamw",)).play()
    assert found.summary["winner"] == "muon"
    assert "adamw-by-role" not in entries(found)
    assert noted(found, "left out") == "adamw-by-role is left out: adamw does not fit"


def test_one_that_was_asked_for_and_does_not_fit_is_an_error() -> None:
    world = World(QUICKSTART, unfit=("muon",))
    with pytest.raises(UsageError, match="--contender 'muon': muon does not fit"):
        world.play(contender=("sgd", "muon"))
    assert not any(job.steps for job in world.jobs)


def test_an_error_says_so_where_none_of_the_default_ones_fits() -> None:
    with pytest.raises(UsageError, match="there is nobody beside yours; adamw-by-role is left out"):
        World(QUICKSTART, unfit=tuple(BEST)).play()


def test_where_yours_diverges_there_is_nothing_to_compare_with() -> None:
    found = World({"yours": math.inf, "muon": 3.6}).play(**DUEL)
    assert found.summary["winner"] == "muon"
    assert entries(found)["muon"]["difference"] is None
    assert "nothing to compare" in found.notes[0]


def test_where_yours_diverges_with_a_fresh_seed_the_seeds_are_counted_right() -> None:
    found = World({"yours": 3.7, "muon": 3.6}, by_seed={("yours", 2): math.inf}).play(**DUEL)
    worth = {row[0]: row[4] for row in found.tables[0].rows}
    assert worth["muon *"] == "not finite, 2 seeds"


@pytest.mark.parametrize("short", [4.0, math.inf], ids=["on whole runs", "everywhere"])
def test_an_error_says_so_where_all_diverge(short: float) -> None:
    lost = {"yours": math.inf, "muon": math.inf}
    with pytest.raises(NoValidCandidateError, match="diverged; name an LR"):
        World(lost, short=dict.fromkeys(lost, short)).play(**DUEL)


def test_the_difference_is_that_of_fresh_seeds_only() -> None:
    lucky = {("muon", 0): -1.0, ("yours", 0): 1.0, ("muon", 1): 0.03, ("yours", 2): 0.02}
    world = World({"yours": 3.7, "muon": 3.6}, by_seed=lucky, best=BEST | {"muon": BEST["yours"]})
    found = world.play(**DUEL)
    difference = entries(found)["muon"]["difference"]
    assert difference["seeds"] == 2
    by_seed = {seed: [world.loss(job) for job in world.whole_runs if (job.seed or 0) == seed] for seed in (1, 2)}
    assert difference["mean"] == pytest.approx(sum(muon - yours for muon, yours in by_seed.values()) / 2)
    assert difference["interval"][0] < difference["mean"] < difference["interval"][1]


def test_both_are_trained_on_each_fresh_seed() -> None:
    world = World({"yours": 3.7, "muon": 3.6})
    world.play(**DUEL, fresh_seeds=3, budget=20)
    fresh = [(optimizer_of(job), job.seed) for job in world.whole_runs if job.seed]
    assert fresh == [(name, seed) for seed in (1, 2, 3) for name in ("muon", "yours")]


def test_yours_is_trained_with_nothing_of_its_own() -> None:
    world = World(QUICKSTART)
    world.play(run=replace(run_spec(STEPS), optimizer="sgd"))
    assert {job.seed for job in world.whole_runs if job.optimizer is None} == {1, 2}
    assert not any(job.optimizer == SGD() for job in world.jobs)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), budget=st.floats(4.5, 30), reserve=st.sampled_from([0, 20, 1000]))
def test_the_budget_holds(seed: int, budget: float, reserve: int) -> None:
    world = World({}, reserve=reserve, rough=rough(seed))
    try:
        found = world.play(budget=budget, contender=("muon", "adafactor"), fresh_seeds=1)
    except (NoValidCandidateError, UsageError):
        found = None
    assert world.full_runs <= budget + 1
    if found:
        assert found.summary["full_runs"] == pytest.approx(world.full_runs)
        assert sum(each["full_runs"] for each in found.summary["contenders"]) <= world.full_runs


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_nothing_is_chosen_by_test_loss(seed: int) -> None:
    plain, other = (World({}, rough=rough(seed), test=rough(each)) for each in (seed + 1, seed + 2))
    found = []
    for world in (plain, other):
        try:
            found.append(world.play(budget=16).summary["winner"])
        except NoValidCandidateError:
            found.append("none")
    assert found[0] == found[1]
    assert plain.jobs == other.jobs


def test_nothing_is_chosen_by_time_and_equal_time_is_told() -> None:
    plain, slow = World(QUICKSTART), World(QUICKSTART, seconds={"yours": 1.0, "adamw": 1.5, "muon": 0.1})
    assert plain.play().summary["winner"] == slow.play().summary["winner"]
    assert plain.jobs == slow.jobs
    found = slow.play()
    assert entries(found)["adamw-by-role"]["step_time"] == pytest.approx(1.5)
    gained = 1.0 / math.log(STEPS / SHORT) * math.log(1.5)
    by_role = entries(found)["adamw-by-role"]
    assert by_role["at_equal_time"] - by_role["difference"]["mean"] == pytest.approx(gained, abs=0.01)
    assert noted(found, "1.50 times as long")
    assert noted(found, "in equal time muon would be the best")
    assert not noted(plain.play(), "times as long")
    assert not noted(plain.play(), "in equal time")


def test_it_is_drawn_and_told_as_tables() -> None:
    found = World(QUICKSTART).play()
    worth, fresh, recipe = found.tables
    assert worth.rows[0][0] == "adamw-by-role *"
    assert [row[0] for row in fresh.rows] == ["1", "2"]
    assert ("lr_scale = {embedding = 8.0, output = 8.0}",) in recipe.rows
    assert f"It holds for runs of {STEPS} steps" in worth.notes[0]
    assert [chart.name for chart in found.charts] == ["contest", "contest-lrs"]
