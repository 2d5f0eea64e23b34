"""The piecewise-linear schedule, and what can be done with any schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl.contracts.axes import Axis, Lengths, axes, stretch, tunable, with_peak
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule, params_of
from lrctl.errors import UsageError
from lrctl.registry.schedules import build_schedule
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


# Tunable families


@dataclass(frozen=True)
class Plateau:
    """Level up to `stop`, then a shallower level."""

    steps: int
    peak_lr: Annotated[float, "its height", Axis(0.001, 0.1, log=True)]
    stop: Annotated[float, "length", Axis(0.0, 1.0, length=True)] = 0.5
    rest: Annotated[float, "share of the peak", "and more words", Axis(0.0, 1.0, grid=(0.0, 0.5))] = 0.5
    lengths: Lengths = "fraction"

    def __call__(self, step: float) -> float:
        stop = self.stop if self.lengths == "steps" else self.stop * self.steps
        return self.peak_lr if step < stop else self.peak_lr * self.rest


@dataclass(frozen=True)
class Fixed:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr


def test_the_axes_are_those_of_the_fields_but_never_of_the_peak() -> None:
    assert axes(Plateau) == {"stop": Axis(0.0, 1.0, length=True), "rest": Axis(0.0, 1.0, grid=(0.0, 0.5))}
    assert list(axes(Plateau)) == ["stop", "rest"]
    assert axes(Fixed) == {}


def test_a_family_is_tunable_if_it_has_steps_and_a_peak() -> None:
    assert [tunable(family) for family in (Plateau, Fixed, PiecewiseLinear, int)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("schedule", "stretched"),
    [
        (Plateau(100, 0.3, 0.25), Plateau(300, 0.3, 0.25)),
        (Plateau(100, 0.3, 25, 0.1, "steps"), Plateau(300, 0.3, 75, 0.1, "steps")),
        (PiecewiseLinear(((0, 0.0), (10, 0.3), (100, 0.1))), PiecewiseLinear(((0, 0.0), (30, 0.3), (300, 0.1)))),
    ],
    ids=["lengths as fractions", "lengths in steps", "piecewise linear"],
)
def test_stretching_keeps_the_shape(schedule: Any, stretched: Any) -> None:
    assert stretch(schedule, 100, 300) == stretched
    assert stretch(stretched, 300, 100) == schedule


@dataclass(frozen=True)
class Half:
    steps: int
    peak_lr: float

    def __call__(self, step: float) -> float:
        return self.peak_lr * min(1.0, step / self.steps)


def test_a_schedule_of_another_length_than_its_run_keeps_its_share_of_it() -> None:
    assert stretch(Half(40, 0.1), 80, 160) == Half(80, 0.1)
    with pytest.raises(UsageError, match=r"from 3 steps to 4 it would have 53.3333 steps of its own"):
        stretch(Half(40, 0.1), 3, 4)


def test_what_has_no_length_cannot_be_stretched() -> None:
    with pytest.raises(
        UsageError, match=r"^schedule family Fixed: without fields 'steps' and 'peak_lr' it cannot be stretched$"
    ):
        stretch(Fixed(), 100, 300)


@given(KNOTS, st.floats(1e-6, 10))
def test_the_peak_of_lines_is_set_exactly_and_the_rest_in_proportion(
    knots: tuple[tuple[int, float], ...], peak: float
) -> None:
    top = max(lr for _, lr in knots)
    if top == 0:
        with pytest.raises(UsageError, match="it has no peak LR that can be set"):
            with_peak(PiecewiseLinear(knots), peak)
        return
    scaled = with_peak(PiecewiseLinear(knots), peak)
    assert max(lr for _, lr in scaled.knots) == peak
    assert [lr * top for _, lr in scaled.knots] == pytest.approx([lr * peak for _, lr in knots])


def test_the_peak_of_a_tunable_schedule_is_its_field() -> None:
    assert with_peak(Plateau(100, 0.3), 0.1) == Plateau(100, 0.1)
    with pytest.raises(UsageError, match=r"^schedule Fixed\(lr=0\.1\): it has no peak LR that can be set$"):
        with_peak(Fixed(), 0.1)


@given(KNOTS)
def test_lines_come_back_from_json_as_they_were(knots: tuple[tuple[int, float], ...]) -> None:
    schedule = PiecewiseLinear(knots)
    assert build_schedule(PiecewiseLinear, params_of(schedule)) == schedule
    assert params_of(schedule) == {"knots": [list(knot) for knot in knots]}


@pytest.mark.parametrize("params", [{"knots": []}, {"steps": 3}, {"knots": [[0, "a"]]}, {}], ids=str)
def test_parameters_that_do_not_fit_a_family_are_refused_by_its_name(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^schedule family PiecewiseLinear: "):
        build_schedule(PiecewiseLinear, params)
