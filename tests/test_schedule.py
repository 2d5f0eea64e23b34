"""The piecewise-linear schedule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.schedule import AdaptiveSchedule, PiecewiseLinear, Schedule
from lrctl.testing import check_schedule

LR = st.floats(0, 10, allow_nan=False)
KNOTS = st.lists(st.integers(0, 200), min_size=1, max_size=8, unique=True).flatmap(
    lambda steps: st.tuples(*[st.tuples(st.just(step), LR) for step in sorted(steps)])
)


@given(KNOTS)
def test_every_knot_is_met_exactly(knots: tuple[tuple[int, float], ...]) -> None:
    schedule = PiecewiseLinear(knots)
    assert [schedule(step) for step, _ in knots] == [lr for _, lr in knots]


@given(KNOTS)
def test_it_keeps_the_contract(knots: tuple[tuple[int, float], ...]) -> None:
    check_schedule(PiecewiseLinear(knots), 200)


@given(KNOTS, st.floats(0, 200))
def test_it_stays_between_the_neighbouring_knots(knots: tuple[tuple[int, float], ...], step: float) -> None:
    below = [lr for at, lr in knots if at <= step][-1:] or [knots[0][1]]
    above = [lr for at, lr in knots if at >= step][:1] or [knots[-1][1]]
    low, high = sorted([*below, *above])
    assert low * (1 - 1e-12) <= PiecewiseLinear(knots)(step) <= high * (1 + 1e-12)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(-1, 0.25), (0, 0.25), (5, 0.375), (10, 0.5), (17.5, 0.375), (20, 0.333), (40, 0.0), (99, 0.0)],
)
def test_it_is_straight_between_knots_and_level_outside(step: float, expected: float) -> None:
    schedule = PiecewiseLinear(((0, 0.25), (10, 0.5), (40, 0.0)))
    assert schedule(step) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("knots", "message"),
    [
        ((), "at least one"),
        (((0, 1.0), (0, 2.0)), "steps must increase"),
        (((5, 1.0), (2, 2.0)), "steps must increase"),
        (((0, -1.0),), "finite and >= 0"),
        (((0, math.nan),), "finite and >= 0"),
        (((0, math.inf),), "finite and >= 0"),
    ],
    ids=["no knots", "two at one step", "backwards", "negative", "nan", "inf"],
)
def test_knots_that_make_no_schedule_are_refused(knots: tuple[tuple[int, float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PiecewiseLinear(knots)


def test_a_plain_schedule_is_not_taken_for_an_adaptive_one() -> None:
    schedule = PiecewiseLinear(((0, 1.0),))
    assert isinstance(schedule, Schedule)
    assert not isinstance(schedule, AdaptiveSchedule)
