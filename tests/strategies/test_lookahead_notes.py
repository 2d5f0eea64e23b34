"""What a lookahead search says of its answer, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.testing import run_spec
from lrctl_strategies.lookahead.parabola import Parabola, through
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from strategies.lookaheads import FREE, STEPS, Landscape, level, looked, rough, summary, valley
from strategies.plain_lookahead import Line


def test_if_every_lr_diverges_the_search_fails_with_advice() -> None:
    with pytest.raises(NoValidCandidateError, match=r"all 12 diverged, down to .*; lower --grid"):
        looked(lambda _: math.inf)


def test_if_every_whole_run_diverges_the_search_fails_with_advice() -> None:
    with pytest.raises(NoValidCandidateError, match="rollouts diverged"):
        looked(lambda line: math.inf if line[-1][0] == STEPS else rough(3)(line))


@pytest.mark.parametrize("steps", [1, 2])
def test_too_short_a_run_is_refused(steps: int) -> None:
    with pytest.raises(UsageError, match="too few for a lookahead search"):
        looked(rough(0), steps)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"budget": 0}, "budget: must be greater than 0"),
        ({"score_batches": 0}, "score_batches: must be at least 1"),
        ({"grid": ()}, "grid: must hold LRs"),
        ({"grid": (1e-3, -1.0)}, "grid: must hold LRs"),
        ({"max_lr": 1e-9}, "max_lr: no LR of the grid"),
        ({"short_run": 1.0}, "short_run: must be greater than 0 and less than 1"),
        ({"rise": (0.4,)}, "rise: must hold shares"),
        ({"rise": (0.2,)}, "rise: the first share must be less than short_run"),
        ({"knot": (1.0,)}, "knot: must hold shares"),
        ({"knot": (0.05,)}, "rise: must hold shares from 0 to below the first knot"),
        ({"floor": 1.5}, "floor: must be from 0 to 1"),
        ({"ratio": (2.0, 1.0)}, "ratio: must hold numbers greater than 1"),
        ({"ratio": ()}, "ratio: must hold numbers greater than 1"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lookahead(**params)


def test_the_vertex_is_where_the_parabola_is_lowest() -> None:
    scores = {lr: (math.log(lr / 4e-3)) ** 2 for lr in (1e-3, 3e-3, 9e-3)}
    assert through(scores).vertex == pytest.approx(4e-3)
    assert through(scores).gain == pytest.approx(scores[3e-3])
    assert through(scores).above(9e-3) == pytest.approx(scores[9e-3] - scores[3e-3])
    assert through({**scores, 9e-3: math.inf}).vertex == 3e-3
    assert through({1e-3: 0.0, 3e-3: 1.0}).vertex == 1e-3
    assert through({1e-3: 1.0, 3e-3: 1.0, 9e-3: 1.0}) == Parabola(1e-3, 0.0, 0.0)


def test_the_table_has_a_row_per_rollout_and_marks_the_answer() -> None:
    found, _ = looked(rough(4))
    (table,) = found.tables
    assert len(table.rows) == len(summary(found)["rollouts"])
    (marked,) = [row for row in table.rows if row[0].endswith("*")]
    assert marked[-2] == f"{summary(found)['score']:.4f}"


def flat(learns_at: float, best: float) -> Landscape:
    """Short runs learn from an LR on only, and below it end a little worse than they began; whole runs are a valley."""

    def score(line: Line) -> float:
        if not line[-1][0] or line[-1][0] == STEPS:
            return valley(level(best))(line)
        top = max(lr for _, lr in line)
        return 100.01 if top < learns_at else 50 + valley(level(best))(line)

    return score


def test_short_runs_that_learn_nothing_are_no_sign_of_divergence() -> None:
    """As of a net whose LRs of the grid are all too low: alike, and all a little worse than the untrained one."""
    found, _ = looked(flat(math.inf, 0.1))
    assert summary(found)["limited_by_divergence"] is False
    assert max(each["lr"] for each in summary(found)["short_runs"]) == pytest.approx(1.0)  # four above the grid
    assert any("ended no better than they had begun" in note for note in found.notes)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 0.05 < max(lr for _, lr in found.schedule.knots) < 0.5


def test_where_the_grid_learns_nothing_higher_lrs_are_tried() -> None:
    found, _ = looked(flat(0.05, 0.3))
    assert max(each["lr"] for each in summary(found)["short_runs"]) > 0.3
    assert not any("ended no better than they had begun" in note for note in found.notes)
    assert isinstance(found.schedule, PiecewiseLinear)
    assert 0.1 < max(lr for _, lr in found.schedule.knots) < 0.9


def test_an_answer_at_the_edge_of_what_the_budget_allowed_is_told() -> None:
    found, _ = looked(flat(math.inf, 30.0), budget=4)
    assert any("highest LR of those tried" in note and "raise --budget" in note for note in found.notes)


def test_bad_knots_are_refused_before_anything_is_trained() -> None:
    search = lookahead(Lookahead(knot=(0.9999,)), run_spec(STEPS))
    with pytest.raises(UsageError, match="too few"):
        next(search)


def test_what_the_short_runs_showed_is_told() -> None:
    found, _ = looked(valley(level(1.0), too_high=1.3), grid=(0.01, 0.1, 1.0), **FREE)
    assert summary(found)["limited_by_divergence"] is True
    assert any("LR 10 ended no better than it had begun" in note for note in found.notes)
    found, _ = looked(valley(level(1.0)), max_lr=0.05, **FREE)
    assert any("--max-lr 0.05 allowed no higher one" in note for note in found.notes)
    found, _ = looked(lambda line: 1.0 if line[-1][0] else 0.5)
    assert any("no better than the model before any training" in note for note in found.notes)
