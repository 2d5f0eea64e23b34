"""The stages of a contest: who goes on from short runs to whole ones, and what is kept and replayed on the way."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lrctl.contracts.strategy import Batch
from lrctl.testing import SPEC, run_spec
from lrctl_strategies.contest import stages
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.search import contest
from strategies.contests import BEST, DUEL, QUICKSTART, SHORT, STEPS, World, entries, noted, optimizer_of, peak


def test_who_is_far_behind_on_short_runs_gets_no_whole_run() -> None:
    world = World(QUICKSTART, short={"adamw": 4.0, "muon": 4.6, "schedule-free": 4.6, "adafactor": 4.6})
    found = world.play()
    assert {optimizer_of(job) for job in world.whole_runs} == {"adamw", "yours"}
    assert "muon, schedule-free, adafactor" in noted(found, "ruled out")


def test_who_is_not_ruled_out_and_has_no_room_is_told() -> None:
    left = noted(World(QUICKSTART).play(), "do not rule out")
    assert left.endswith("rule out adafactor, schedule-free; for whole runs of them give --budget 10 --finalists 4")
    found = World(QUICKSTART).play(budget=10.1, finalists=4)
    assert not noted(found, "do not rule out")


def test_on_long_runs_one_that_gains_late_has_a_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(QUICKSTART)
    monkeypatch.setattr(stages, "LONG", STEPS + 1)
    short = world.play()
    assert "schedule-free" not in {optimizer_of(job) for job in world.whole_runs}
    assert not noted(short, "gain late")
    monkeypatch.setattr(stages, "LONG", STEPS)
    long = world.play()
    assert {optimizer_of(job) for job in world.whole_runs} == {"adamw", "schedule-free", "yours"}
    assert noted(long, "gain late").startswith("schedule-free had a whole run before muon, which")
    assert world.full_runs <= 8


def test_on_long_runs_who_gains_late_and_is_far_behind_has_no_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "LONG", STEPS)
    world = World(QUICKSTART, short={"adamw": 4.0, "muon": 4.0, "schedule-free": 4.6})
    assert not noted(world.play(), "gain late")
    assert "schedule-free" not in {optimizer_of(job) for job in world.whole_runs}


def test_all_within_the_margin_are_given_whole_runs_where_there_is_room() -> None:
    world = World(QUICKSTART)
    found = world.play(finalists=4, budget=12)
    assert {optimizer_of(job) for job in world.whole_runs} == {"yours", *QUICKSTART}
    assert entries(found)["schedule-free"]["steps"] == STEPS


def test_the_lrs_of_both_rivals_are_tuned_on_whole_runs_where_there_is_room() -> None:
    world = World({"yours": 3.7, "muon": 3.6}, best=BEST)
    found = world.play(**DUEL, budget=16)
    tried = {
        name: [peak(job) for job in world.whole_runs if optimizer_of(job) == name and not job.seed] for name in BEST
    }
    assert min(len(tried["muon"]), len(tried["yours"])) >= 3
    assert abs(len(tried["muon"]) - len(tried["yours"])) <= 2
    assert peak(world.whole_runs[-2]) == entries(found)["muon"]["lr"]
    assert math.log(entries(found)["muon"]["lr"] / BEST["muon"]) == pytest.approx(0, abs=math.log(1.5) / 2)


def test_short_runs_go_outwards_until_the_best_lr_lies_between_others() -> None:
    found = World(QUICKSTART, best=BEST | {"yours": 1e-4, "muon": 3e-4}).play(budget=12)
    lrs = [run["lr"] for run in entries(found)["yours"]["runs"] if run["steps"] == SHORT]
    assert min(lrs) < 1e-4
    assert entries(found)["muon"]["runs"][0]["lr"] < 1e-3, "the others begin where yours is best"


def test_a_best_lr_at_the_edge_of_those_tried_is_told() -> None:
    far = World(QUICKSTART, best=BEST | {"adafactor": 1e9})
    assert "of adafactor the best LR" in noted(far.play(), "at the edge")
    assert not noted(World(QUICKSTART).play(), "at the edge")


def test_scores_are_validation_losses_where_nothing_is_in_reserve() -> None:
    found = World(QUICKSTART, reserve=0).play(budget=9)
    assert (found.chosen_by, found.summary["winner"]) == ("validation loss", "adamw-by-role")


def test_a_replay_that_stops_anywhere_goes_on_as_it_would_have() -> None:
    world = World(QUICKSTART)
    whole = world.play()
    asked = list(world.batches)
    search = contest(Contest(), run_spec(STEPS))
    batch = next(search)
    for expected in asked[:-1]:
        assert (batch.title, list(batch.jobs)) == (expected.title, list(expected.jobs))
        batch = search.send([replace(world.result(job), seconds=7.0) for job in batch.jobs])
    assert isinstance(batch, Batch)
    assert whole.checkpoint in {job.key(SPEC) for job in world.jobs}


def test_the_runs_that_may_be_handed_over_are_kept() -> None:
    world = World({"yours": 3.6, "muon": 3.7}, short={"yours": 4.2, "muon": 4.0})
    found = world.play(**DUEL)
    first = next(i for i, batch in enumerate(world.batches) if found.checkpoint in {j.key(SPEC) for j in batch.jobs})
    for batch in world.batches[first + 1 :]:
        assert found.checkpoint in batch.keep | {job.parent for job in batch.jobs}
