"""Lookahead search on noisy scores: what the noise hides, and where the search ends."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import SearchResult, drive
from lrctl.testing import SPEC, Scripted, run_spec
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.scoring import Score, Scoring
from lrctl_strategies.lookahead.search import lookahead
from strategies.lookaheads import FREE, STEPS, Landscape, level, looked, summary, top, valley
from strategies.plain_lookahead import Line


@dataclass(slots=True)
class Noisy(Scripted):
    """Scores of batches that differ by so much, though not in their mean; none with `reserve` 0."""

    spread: float = 0.0
    reserve: int = 1000

    def result(self, job: SegmentJob) -> JobResult:
        draw = random.Random(job.key(SPEC))
        told = Scripted.result(self, job)
        lies = [draw.gauss(0, self.spread) for _ in told.scores[: self.reserve]]
        scores = tuple(told.scores[0] + lie - fmean(lies) for lie in lies)
        metrics = {
            split: {"loss": each["loss"] + draw.gauss(0, self.spread / 5)} for split, each in told.metrics.items()
        }
        return replace(told, scores=scores, metrics=metrics, evaluated=9 * len(job.evaluate))


def noisily(
    landscape: Landscape, spread: float = 0.01, reserve: int = 1000, **params: Any
) -> tuple[SearchResult, Noisy]:
    def loss(job: SegmentJob) -> float:
        assert isinstance(job.schedule, PiecewiseLinear)
        return landscape(tuple((int(step), lr) for step, lr in job.schedule.knots))

    script = Noisy(loss, spread=spread, reserve=reserve)
    return drive(
        lookahead(Lookahead(reference=False, **{"grid": GRID} | params), run_spec(STEPS)), script.run_batch
    ), script


def whole(of: Callable[[Line], float]) -> Landscape:
    """Short runs tell nothing; of a whole run this is the score."""
    return lambda line: of(line) if line[-1][0] == STEPS else 1.0 + (not line[-1][0])


GRID = (3e-3,)
FIRST = GRID[0] * 0.15**0.3
"""The LR that a search with this grid begins with where short runs tell nothing."""


@pytest.mark.parametrize("reserve", [1000, 0], ids=["training", "validation"])
@pytest.mark.parametrize("factor", [1 / 8, 1 / 3, 1.0, 3.0, 8.0])
def test_from_a_wrong_first_guess_the_lr_is_found_within_the_budget(factor: float, reserve: int) -> None:
    best = FIRST * factor
    found, _ = noisily(whole(lambda line: math.log10(top(line) / best) ** 2), reserve=reserve)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert abs(math.log(top(found.schedule.knots) / best)) < math.log(1.3)  # type: ignore[arg-type]
    assert summary(found)["full_runs"] <= 8


def test_lrs_that_short_runs_do_not_tell_apart_are_told() -> None:
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2))
    low, high = summary(found)["alike"]
    assert low < 1e-3 < 9e-3 < high
    assert any(
        f"do not tell LRs from {low:.3g} to {high:.3g} apart; whole runs decided" in note for note in found.notes
    )
    found, _ = noisily(valley(level(3e-3)), spread=0.0)
    assert summary(found)["alike"] == [GRID[0]] * 2


def test_the_best_rise_is_found_on_whole_runs_where_short_ones_do_not_tell_it() -> None:
    for best in (0, 4, 10, 20, 50):

        def score(line: Line, best: int = best) -> float:
            rise = next(step for step, lr in line if lr)
            return abs(rise - best) / STEPS + math.log10(top(line) / FIRST) ** 2

        found, _ = noisily(whole(score), spread=1e-4, budget=16)
        assert isinstance(found.schedule, PiecewiseLinear)
        assert next(step for step, lr in found.schedule.knots if lr) == best


def test_what_the_noise_hides_is_looked_for_on_both_sides() -> None:
    """The lower of the first two LRs seems better by less than the noise, and what is best lies above the higher."""
    first, second = FIRST / 2.25, FIRST * 2.25

    def score(line: Line) -> float:
        lr = top(line)
        if lr > second * 1.5:
            return 0.5
        return 1.1 if lr < first / 1.5 else 1.0 + 0.001 * (lr > FIRST)

    for spread, best in ((0.0, 1.0), (0.5, 0.5)):
        found, _ = noisily(whole(score), spread=spread, reserve=9)
        assert summary(found)["score"] == pytest.approx(best)
        assert isinstance(found.schedule, PiecewiseLinear)
        assert (top(found.schedule.knots) > second) == (spread > 0)  # type: ignore[arg-type]


def test_the_search_goes_on_until_no_move_is_better() -> None:
    landscape = valley(lambda u: 4e-3 * (1 - u) ** 0.7)
    found, _ = looked(landscape, **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    knots = [(int(step), lr) for step, lr in found.schedule.knots]
    for by in (1.2, 1 / 1.2):
        assert landscape(tuple((step, lr * by) for step, lr in knots)) > summary(found)["score"]
        for knot in (4, 5):
            moved = [(step, lr * by if n == knot else lr) for n, (step, lr) in enumerate(knots)]
            assert landscape(tuple(moved)) > summary(found)["score"]
    (stopped,) = [note for note in found.notes if note.startswith("stopped after")]
    assert "no other LR, hold, rise or turn that it tries is better" in stopped


def test_steps_shrink_round_by_round() -> None:
    """The last LR that may turn wants to be 1.3 times the straight line: 1.5 is too much, and 1.5 over 1.2 is near."""

    def score(line: Line) -> float:
        lrs = dict(line)
        if line[-1][0] < STEPS or not top(line):
            return valley(level(5e-3))(line)
        return math.log10(top(line) / 3e-3) ** 2 + math.log(lrs[190] / lrs[80] * 12 / 1.3) ** 2

    found, _ = looked(score, **FREE)
    assert isinstance(found.schedule, PiecewiseLinear)
    lrs = dict(found.schedule.knots)
    assert lrs[190] / lrs[80] * 12 == pytest.approx(1.3, rel=0.1)
    assert top(found.schedule.knots) == pytest.approx(3e-3, rel=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_a_run_that_is_off_the_parabola_through_its_neighbours_is_told(off: float) -> None:
    def score(line: Line) -> float:
        loss = math.log10(top(line) / 3e-3) ** 2 if top(line) else 100.0
        return loss + off * (line[-1][0] == STEPS and abs(math.log(top(line) / 3e-3)) < 0.05)

    # The short runs' vertex is not that of the whole ones, so that these lay a parabola.
    found, _ = looked(score, grid=(1e-3, 3e-3, 1e-2), **FREE)
    assert any("off the parabola" in note for note in found.notes) == (off > 0)
    assert summary(found)["misfit"] == pytest.approx(off, abs=0.01)


def test_what_a_larger_budget_would_try_next_is_told() -> None:
    found, _ = looked(valley(lambda u: 4e-3 * (1 - u) ** 0.7), budget=5.5)
    (left,) = [note for note in found.notes if "--budget" in note]
    more, _ = looked(valley(lambda u: 4e-3 * (1 - u) ** 0.7), budget=9)
    known = {each["key"] for each in summary(found)["rollouts"]}
    assert left.endswith(next(each["move"] for each in summary(more)["rollouts"] if each["key"] not in known))


def test_a_workload_without_scores_is_scored_by_validation_which_costs() -> None:
    found, script = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2), reserve=0)
    assert found.chosen_by == "validation loss"
    assert any("no training batches, or too few, are kept aside" in note for note in found.notes)
    jobs = {job.key(SPEC): job for batch in script.batches for job in batch.jobs if not job.score_batches}
    spent = sum(job.stop - job.start + FORWARD * 9 * len(job.evaluate) for job in jobs.values()) / STEPS
    assert summary(found)["full_runs"] == pytest.approx(spent)


def test_a_run_without_any_score_is_never_the_best() -> None:
    scoring = Scoring(4)
    assert scoring.read(JobResult("key", "ok")) == Score(math.inf)
    assert scoring.read(JobResult("key", "ok", scores=(1.0, 3.0))) == Score(2.0, (1.0, 3.0))


def test_fewer_batches_in_reserve_than_wanted_are_told() -> None:
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2), reserve=12)
    assert any("on 12 batches instead of 64, since there are no more" in note for note in found.notes)
    found, _ = noisily(whole(lambda line: math.log10(top(line) / FIRST) ** 2))
    assert any("on 30 batches instead of 64, since the run is short" in note for note in found.notes)
