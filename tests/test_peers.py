"""The comparison with other tools: what it does without them."""

from __future__ import annotations

import doctest
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import grid, records
from benchmarks.peers.contenders import CONTENDERS, REFERENCE, RUNS, budget, contend
from benchmarks.peers.contest import Contest
from benchmarks.peers.grid import following
from benchmarks.peers.loop import Run
from benchmarks.peers.records import Record
from benchmarks.peers.report import markdown, rows, svg
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.training.trainer import train


def record(contender: str = REFERENCE, seed: int = 0, test_loss: float = 1.0, steps_trained: int = 200) -> Record:
    return Record(contender, "smoke", 40, seed, 0, test_loss, 1.0, steps_trained, 10, 2_000_000, {}, 3.0, {})


def test_a_rival_may_train_what_its_giver_took_with_that_seed_its_scoring_counted() -> None:
    found = [record(steps_trained=230), record(seed=1, steps_trained=250)]
    assert budget("optuna", 40, 1, found) == 254  # 10 forward passes, three to a step
    assert budget("optuna", 40, 2, found) == RUNS * 40
    assert budget(REFERENCE, 40, 1, found) == 0


def test_a_budget_is_rounded_up_to_whole_runs() -> None:
    assert [Contest("smoke", 40, 0, steps).runs for steps in (200, 201)] == [5, 6]


def test_every_budget_is_given_by_a_contender_with_a_plan_of_its_own() -> None:
    givers = {each.budget for each in CONTENDERS.values() if each.budget}
    assert all(not CONTENDERS[giver].budget for giver in givers)


def test_the_best_value_is_found_by_extending_a_grid_and_making_it_finer() -> None:
    losses: dict[float, float] = {}
    for _ in range(12):
        value = following(losses, (0.1, 0.03, 0.3))
        losses[value] = abs(math.log(value / 2e-3))
    assert min(losses, key=losses.__getitem__) == pytest.approx(2e-3, rel=0.1)


def test_values_that_all_diverge_are_followed_by_smaller_ones() -> None:
    assert following({0.1: math.inf, 0.3: math.inf}, (0.1, 0.3)) == 0.03


def test_the_examples_of_the_grid_are_true() -> None:
    assert doctest.testmod(grid).failed == 0


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for each in (first := record(), second := record(seed=1, test_loss=math.inf)):
        records.append(path, each)
    assert records.read(path, "smoke") == [first, second]
    assert records.read(path, "quickstart") == []


def test_of_two_records_of_a_seed_the_later_counts() -> None:
    found = [record(test_loss=2.0), record(seed=1), record(test_loss=3.0)]
    assert [each.test_loss for each in records.last(found, REFERENCE, 40, [0, 1])] == [3.0, 1.0]


def test_the_table_has_differences_on_the_same_seeds_and_the_best_on_top() -> None:
    by_name = {
        "local": [record("local", 0, 1.5), record("local", 1, 1.7), record("local", 2, 9.0)],
        REFERENCE: [record(), record(seed=1)],
        "wsd": [],
    }
    found = rows(by_name, REFERENCE)
    assert [row.contender for row in found] == [REFERENCE, "local"]
    assert found[1].difference == pytest.approx(0.6)
    assert found[1].difference_interval == pytest.approx((0.6 - 12.7062 * 0.1, 0.6 + 12.7062 * 0.1), abs=1e-4)
    assert markdown(found, REFERENCE).splitlines()[2] == (
        f"| {REFERENCE} | 2 | 1.0000 [1.0000, 1.0000] |  | 200 | 5.0 | 10 | 3 | 2.0 |"
    )


def test_the_figure_names_every_contender() -> None:
    drawn = svg(rows({REFERENCE: [record()], "ray-pbt": [record("ray-pbt", 0, math.inf)]}, REFERENCE), "Test loss")
    assert f"{REFERENCE}: 1.0000 after 200 steps; ray-pbt: not finite after 200 steps" in drawn


def test_the_loop_of_the_rivals_trains_as_lrctl_does() -> None:
    contest = Contest("smoke", 40, 0)
    schedule = PiecewiseLinear(((0, 0.0), (10, 0.1), (40, 0.0)))
    job = SegmentJob(0, 40, schedule, evaluate=("validation", "test"))
    trained = train(contest.workload, contest.spec, job)
    run = Run(contest)
    run.train(15, schedule)
    state, run = run.state(), Run(contest)
    run.resume(state)
    run.train(40, schedule)
    assert all(np.array_equal(run.model.state_dict()[name], value) for name, value in trained.state["model"].items())
    assert {split: run.loss(split) for split in ("validation", "test")} == {
        split: metrics["loss"] for split, metrics in trained.metrics.items()
    }


def test_a_search_of_lrctl_is_counted() -> None:
    found = contend("local", Contest("smoke", 40, 0))
    assert found.steps_trained > 0
    assert found.forwards == round(Contest("smoke", 40, 0).passes) > 0
    assert found.checkpoint_bytes > 0
    assert math.isfinite(found.test_loss)
