"""Searches of what is left of a run, on scripted landscapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear, through
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.testing import play, run_spec
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from lrctl_strategies.semilocal.params import Local, SemiLocal
from lrctl_strategies.semilocal.search import local, semilocal

LEFT, START, LR = 200, 1000, 3e-5

SEARCHES = pytest.mark.parametrize(
    ("strategy", "params"),
    [
        pytest.param(
            semilocal, SemiLocal(segments=4, grid_size=3, eps_unit="nats", eps=0.05, reference=False), id="semilocal"
        ),
        pytest.param(local, Local(segments=4, grid_size=3, reference=False), id="local"),
        pytest.param(lookahead, Lookahead(budget=20, reference=False), id="lookahead"),
    ],
)


def best_at(lr: float) -> Any:
    """The loss is the distance of the log of the mean LR from the best one, whatever the step."""

    def loss(job: SegmentJob) -> float:
        schedule = job.schedule
        assert isinstance(schedule, PiecewiseLinear)
        lrs = [each for _, each in schedule.knots if each] if job.steps else []
        return sum(math.log10(each / lr) ** 2 for each in lrs) / len(lrs) if lrs else 10.0

    return loss


def knots_of(found: SearchResult) -> Sequence[tuple[float, float]]:
    assert isinstance(found.schedule, PiecewiseLinear)
    return found.schedule.knots


def jobs(batches: Sequence[Batch]) -> list[SegmentJob]:
    return [job for batch in batches for job in batch.jobs]


@SEARCHES
def test_a_run_under_way_without_an_lr_is_searched_as_one_that_begins(strategy: Any, params: Any) -> None:
    """All steps are later by what is behind it, and nothing else is different."""
    whole, of_whole = play(strategy, params, LEFT, best_at(1e-3))
    left, of_left = play(strategy, params, run_spec(START + LEFT, START), best_at(1e-3))
    assert knots_of(left) == tuple((START + step, lr) for step, lr in knots_of(whole))
    assert [(job.start - START, job.stop - START) for job in jobs(of_left)] == [
        (j.start, j.stop) for j in jobs(of_whole)
    ]


@SEARCHES
def test_its_jobs_go_on_from_the_checkpoint_with_its_lr(strategy: Any, params: Any) -> None:
    run = run_spec(START + LEFT, START, LR)
    found, batches = play(strategy, params, run, best_at(LR))
    first = [job for job in jobs(batches) if job.start == START]
    assert {job.parent for job in first} == {run.checkpoint}
    assert None not in {job.parent for job in jobs(batches)}
    assert knots_of(found)[0][0] == START
    # Within the first of it the LR is near what it was, or goes there in a straight line.
    assert LR / 4 <= knots_of(found)[0][1] <= 4 * LR


def test_the_first_segment_has_eps_where_the_run_has_an_lr() -> None:
    p = SemiLocal(segments=3, grid_size=2, eps=0.25, eps_unit="nats")
    found, _ = play(semilocal, p, run_spec(START + LEFT, START, LR), lambda _: 1.0)
    assert [segment.eps for segment in found.trace] == [0.25, 0.25, 0.0]
    assert [candidate.lr for candidate in found.trace[0].candidates] == [0.0, 0.5 * LR, LR, 2 * LR]


def test_a_high_lr_that_makes_a_trained_model_worse_is_no_sign_of_divergence() -> None:
    """Of a run that begins it would be: there any LR that is of use makes it better."""

    def loss(job: SegmentJob) -> float:
        return 0.01 if not job.steps else best_at(LR)(job)

    found, _ = play(lookahead, Lookahead(), run_spec(START + LEFT, START, LR), loss)
    assert found.summary["limited_by_divergence"] is False
    assert [round(each["lr"] / LR, 2) for each in found.summary["short_runs"]] == [0.3, 1.0, 3.0]


@pytest.mark.parametrize("strategy", [semilocal, lookahead])
def test_too_few_steps_that_are_left_are_a_sentence(strategy: Any) -> None:
    params = {semilocal: SemiLocal(segments=4), lookahead: Lookahead()}[strategy]
    with pytest.raises(Exception, match=r"3 steps that are left|steps: 1 are too few"):
        play(strategy, params, run_spec(START + (3 if strategy is semilocal else 1), START, LR), lambda _: 1.0)


@pytest.mark.parametrize(
    ("lrs", "knots"),
    [
        pytest.param([0.3] * 1000, 2, id="constant"),
        pytest.param([min(1.0, step / 100) for step in range(1000)], 3, id="warmup"),
        pytest.param([math.cos(step / 1000) for step in range(1000)], 1000, id="cosine"),
        pytest.param([0.1], 1, id="one step"),
    ],
)
def test_the_past_has_a_knot_where_it_bends(lrs: list[float], knots: int) -> None:
    found = through(lrs)
    assert len(found.knots) == knots
    assert [found(step) for step in range(len(lrs))] == pytest.approx(lrs, rel=1e-12)
