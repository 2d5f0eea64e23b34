"""Runs that share prefixes: the tree covers each run once, and nothing but the cost depends on it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.strategy import Batch
from lrctl.registry.registry import registry
from lrctl_strategies.tuning.prefixes import Edge, plan, train_all
from searches import session_of, smoke

STEPS = 40
SPLITS = ("validation", "test")


def length(edges: Iterable[Edge]) -> int:
    """The steps that a tree takes to train."""
    return sum(edge.stop - edge.start + length(edge.after) for edge in edges)


def paths(edges: tuple[Edge, ...], member: int) -> list[Edge]:
    """The edges that a run goes along, first to last."""
    for edge in edges:
        if member in edge.members:
            return [edge, *paths(edge.after, member)]
    return []


@given(st.integers(1, 30).flatmap(lambda n: st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n))))
def test_each_run_is_covered_once_and_shares_only_what_is_equal(runs: list[list[float]]) -> None:
    tree = plan(runs)
    for member, run in enumerate(runs):
        path = paths(tree, member)
        assert [path[0].start, *(edge.stop for edge in path)][:: len(path)] == [0, len(run)]
        assert all(before.stop == after.start for before, after in pairwise(path))
        for edge in path:
            assert all(runs[other][: edge.stop] == run[: edge.stop] for other in edge.members)
    assert length(tree) <= sum(map(len, runs))


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=12, max_size=12), min_size=1))
def test_with_no_least_length_no_step_is_trained_twice(runs: list[list[float]]) -> None:
    prefixes = {tuple(run[: step + 1]) for run in runs for step in range(12)}
    assert length(plan(runs, least=0)) == len(prefixes)


def test_a_prefix_too_short_for_a_checkpoint_is_not_shared() -> None:
    runs = [[0.0] + [lr] * 199 for lr in (0.1, 0.2)]
    assert [(edge.start, edge.stop) for edge in plan(runs)] == [(0, 200), (0, 200)]
    assert length(plan(runs, least=0)) == 399


def test_equal_runs_are_one() -> None:
    assert plan([[0.1, 0.2]] * 3) == (Edge(0, 2, (0, 1, 2)),)


def test_no_runs_are_no_tree() -> None:
    assert plan([]) == ()


def wsd(decay: float, peak: float = 0.1, steps: int = STEPS) -> Schedule:
    schedule: Schedule = registry().get("schedule", "wsd").target(steps=steps, peak_lr=peak, decay=decay)
    return schedule


def test_the_readme_s_saving_is_that_of_the_quickstart_s_600_steps() -> None:
    runs = [[wsd(decay, steps=600)(step) for step in range(600)] for decay in (0, 0.05, 0.1, 0.25, 0.5)]
    assert f"{length(plan(runs)) / 600:.1f}" == "1.9"


def test_the_paper_s_decay_grid_takes_about_a_third_of_its_runs() -> None:
    runs = [[wsd(decay)(step) for step in range(STEPS)] for decay in (0, 0.05, 0.1, 0.25, 0.5)]
    assert length(plan(runs)) == 72  # of 200: one warmup and plateau, and five ends
    assert length(plan(runs)) / (5 * STEPS) == pytest.approx(0.36)


def test_the_first_step_of_a_cooldown_belongs_to_the_plateau() -> None:
    (stem,) = plan([[wsd(decay)(step) for step in range(STEPS)] for decay in (0, 0.5)])
    assert (stem.start, stem.stop) == (0, 21)
    assert [(edge.start, edge.stop) for edge in stem.after] == [(21, 40), (21, 40)]


def test_results_with_shared_prefixes_are_those_of_separate_runs_bit_for_bit(tmp_path: Path) -> None:
    schedules = [wsd(decay) for decay in (0, 0.05, 0.1, 0.25, 0.5)] + [PiecewiseLinear(((0, 0.05), (40, 0.0)))]
    with session_of(tmp_path / "shared", smoke()) as shared:
        search = train_all([schedules], STEPS, "all")
        batch, batches = next(search), []
        while True:
            batches.append(batch)
            try:
                batch = search.send(shared.run_batch(batch))
            except StopIteration as end:
                ended = end.value
                break
    jobs_of = {job.key: job.steps for run in ended.values() for job in run.jobs}
    assert sum(jobs_of.values()) == 72 + 40
    assert sum(job.stop - job.start for batch in batches for job in batch.jobs) == 72 + 40
    with session_of(tmp_path / "separate", smoke()) as separate:
        jobs = [SegmentJob(0, STEPS, schedule, evaluate=SPLITS) for schedule in schedules]
        results = separate.run_batch(Batch("apart", jobs))
    for schedule, result in zip(schedules, results, strict=True):
        run = ended[schedule]
        assert shared.runner.store.history(run.key).tobytes() == separate.runner.store.history(result.key).tobytes()
        assert (run.train_loss, run.validation_loss, run.test_loss) == (
            result.train_loss,
            result.metrics["validation"]["loss"],
            result.metrics["test"]["loss"],
        )


def test_a_checkpoint_is_left_only_where_the_tree_branches() -> None:
    batch = next(train_all([[wsd(0.1), wsd(0.5)], [wsd(0.1, peak=0.2)]], STEPS, "both"))
    assert [(job.start, job.stop, job.checkpoint, job.evaluate) for job in batch.jobs] == [
        (0, 21, True, ()),
        (0, 40, False, SPLITS),
    ]


def test_groups_do_not_share_so_that_their_jobs_stay_the_same_jobs() -> None:
    alone = next(train_all([[wsd(0.1), wsd(0.5)]], STEPS, "alone"))
    beside = next(train_all([[wsd(0.1), wsd(0.5)], [wsd(0.25)]], STEPS, "beside"))
    assert beside.jobs[:1] == alone.jobs
    assert [(job.start, job.stop) for job in beside.jobs[1:]] == [(0, 40)]
