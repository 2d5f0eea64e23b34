"""The families and warmups of the paper on near-optimal schedules are its formulas, to the ends of their ranges."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from cases import case
from export.test_formula import imported
from lrctl.contracts.axes import Fixed, axes
from lrctl.export.export import export
from lrctl_schedules.curves import merge_close_points, pchip, pchips
from lrctl_schedules.formulas import warmup_factor
from lrctl_schedules.generalized_cosine import GeneralizedCosine
from lrctl_schedules.parameters import Rise, Warmup
from lrctl_schedules.smooth import SmoothNonMonotonic
from lrctl_schedules.square_root import SquareRoot
from lrctl_schedules.two_point import TwoPointLinear, TwoPointSpline
from lrctl_strategies.closed_form.fitting import choices
from schedules.near_optimal import NEW, RISES, WITH_WARMUP, drawn, told

P = 0.3
OF_EACH = pytest.mark.parametrize("family", [*WITH_WARMUP, SmoothNonMonotonic], ids=lambda family: family.__name__)
WITH = pytest.mark.parametrize("family", WITH_WARMUP, ids=lambda family: family.__name__)
OF_NEW = pytest.mark.parametrize("family", NEW, ids=lambda family: family.__name__)


@OF_EACH
def test_a_family_is_its_formula_at_every_step(family: Any) -> None:
    for steps, count in {1: 40, 2: 40, 7: 40, 200: 5}.items():
        rng = random.Random(steps)
        for schedule in (drawn(family, steps, rng) for _ in range(count)):
            found, expected = [schedule(t) for t in range(steps)], [told(schedule, t) for t in range(steps)]
            assert found == pytest.approx(expected, rel=1e-10, abs=1e-13), schedule


def test_the_warmups_are_those_of_the_paper() -> None:
    assert set(get_args(Rise)) == set(RISES)


@WITH
def test_a_warmup_of_each_shape_begins_at_0_and_ends_at_the_peak(family: Any) -> None:
    for rise in get_args(Rise):
        schedule = family(100, P, warmup=0.2, rise=rise)
        lrs = [schedule(step) for step in range(21)]
        with case(rise=rise):
            assert (lrs[0], lrs[20]) == (0, P)
            assert lrs == sorted(lrs)
            assert lrs[10] == pytest.approx(P * RISES[rise](0.5, 3.0))


@pytest.mark.parametrize(("rate", "jump"), [(3.0, 0.0498), (5.0, 0.0067), (1e3, 0.0)])
def test_an_exponential_warmup_jumps_at_its_end(rate: float, jump: float) -> None:
    assert 1 - warmup_factor(20 - 1e-9, 20, "exponential", rate) == pytest.approx(jump, abs=1e-4)
    assert warmup_factor(20, 20, "exponential", rate) == 1


@WITH
def test_without_warmup_step_0_has_the_peak(family: Any) -> None:
    for rise in get_args(Rise):
        assert family(100, P, warmup=0.0, rise=rise)(0) == P


@OF_NEW
def test_a_warmup_of_at_most_one_step_is_none(family: Any) -> None:
    for warmup, first in {1e-9: P, 0.5: P, 1: P, 1.001: 0, 2: 0}.items():
        lrs = [family(100, P, warmup=warmup, lengths="steps")(step) for step in range(100)]
        with case(warmup=warmup):
            assert lrs[0] == first
            assert all(lr > 0 for lr in lrs[1:])


@WITH
def test_a_run_that_is_all_warmup_ends_at_the_peak(family: Any) -> None:
    assert [family(100, P, warmup=1.0)(step) for step in (0, 50, 100)] == pytest.approx([0, P / 2, P])


@OF_EACH
def test_nothing_fits_or_draws_the_shape_of_a_warmup(family: Any) -> None:
    assert choices(family) == {}
    assert not {"rise", "rise_rate"} & axes(family).keys()
    assert Fixed() not in get_args(Warmup)


RANGES = {
    "warmup": (0.0, 0.3),
    "p": (0.01, 5.0),
    "bend": (0.01, 5.0),
    "b": (1e-3, 1e2),
}


@OF_EACH
def test_the_searched_parameters_have_the_paper_s_ranges(family: Any) -> None:
    for name, axis in axes(family).items():
        assert (axis.draw or (axis.low, axis.high)) == RANGES.get(name, (0.0, 1.0))
        assert axis.log == (name in ("p", "bend", "b"))
        assert axis.variant == (name == "end" or (name == "y_end" and family is not SmoothNonMonotonic))


# The ends of the ranges

EXTREME: dict[Any, dict[str, tuple[float, ...]]] = {
    GeneralizedCosine: {"warmup": (0, 0.1, 1), "p": (0, 1e-300, 1, 1e300), "end": (0, 1)},
    SquareRoot: {"warmup": (0, 0.1, 1), "bend": (0, 1e-300, 1, 1e300)},
    **{
        family: {"warmup": (0, 0.1, 1)} | dict.fromkeys(("y1", "d1", "d2", "dy"), (0, 1e-12, 1)) | {"y_end": (0, 1)}
        for family in (TwoPointLinear, TwoPointSpline)
    },
    SmoothNonMonotonic: {
        name: (0, 1e-12, 1) if name in ("d1", "d2", "x_peak") else (0, 1)
        for name in ("y_start", "d1", "y1", "d2", "y2", "x_peak", "y_end")
    },
}


@pytest.mark.parametrize("family", EXTREME, ids=lambda family: family.__name__)
def test_extreme_parameters_give_lrs_from_0_to_the_peak(family: Any) -> None:
    for point in itertools.product(*EXTREME[family].values()):
        schedule = family(10, P, **dict(zip(EXTREME[family], point, strict=True)))
        lrs = [schedule(step) for step in (0, 1e-11, 0.5, 3, 5, 9.999, 10)]
        assert all(0 <= lr <= P for lr in lrs), schedule
        if family is not SmoothNonMonotonic:
            assert schedule(schedule.warmup * 10) == P


Q = 0.25
PLACES: dict[str, tuple[Any, dict[float, float]]] = {
    "d1 = 0 of lines": (TwoPointLinear(10, P, 0, y1=0.5, d1=0), {0: 1, 1e-9: 0.5, 5: Q, 10: 0}),
    "d1 = 0 of a spline": (TwoPointSpline(10, P, 0, y1=0.5, d1=0), {0: 1, 5: Q, 10: 0}),
    "d2 = 0 of lines": (TwoPointLinear(10, P, 0, d2=0), {0: 1, 5: 0.5, 5.0001: Q, 10: 0}),
    "d2 = 0 of a spline": (TwoPointSpline(10, P, 0, d2=0), {0: 1, 5: 0.5, 10: 0}),
    "d2 = 1 of lines": (TwoPointLinear(10, P, 0, d2=1), {5: 0.5, 7.5: 0.375, 10: Q}),
    "d2 = 1 of a spline": (TwoPointSpline(10, P, 0, d2=1), {5: 0.5, 7.5: 0.349, 10: Q}),
    "d1 = 1 of lines": (TwoPointLinear(10, P, 0, d1=1), {0: 1, 5: 0.75, 10: 0.5}),
    "d1 = 1 of a spline": (TwoPointSpline(10, P, 0, d1=1), {0: 1, 5: 0.75, 10: 0.5}),
    "peak at the start": (SmoothNonMonotonic(10, P, x_peak=0), {0: 1, 1: 0.6, 10: 0}),
    "peak at the end": (SmoothNonMonotonic(10, P, x_peak=1), {0: 0.1, 1: 0.6, 10: 1}),
    "peak at a point": (SmoothNonMonotonic(10, P, d1=0.3, x_peak=0.3), {0: 0.1, 3: 1, 10: 0}),
    "all at the start": (SmoothNonMonotonic(10, P, 0.5, 0, 0.1, 0, 0.2, 0), {0: 1, 5: 0.5, 10: 0}),
}


@pytest.mark.parametrize(("schedule", "shares"), PLACES.values(), ids=PLACES)
def test_points_that_share_a_place(schedule: Any, shares: dict[float, float]) -> None:
    assert {step: schedule(step) / P for step in shares} == pytest.approx(shares, abs=1e-4)


@pytest.mark.parametrize("steps", [1, 7, 60, 200, 12_345])
def test_a_smooth_curve_has_exactly_its_peak_at_every_step_where_it_can_be(steps: int) -> None:
    for step in range(0, steps + 1, max(1, steps // 50)):
        schedule = SmoothNonMonotonic(steps, P, x_peak=step / steps)
        assert max(schedule(t) for t in (step - 1, step, step + 1)) == schedule(step) == P


def test_the_defaults_of_the_two_point_families_are_a_straight_line() -> None:
    for family in (TwoPointLinear, TwoPointSpline):
        assert [family(40, P, 0.0)(step) for step in range(41)] == pytest.approx([P * (1 - t / 40) for t in range(41)])


# PCHIP


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)), min_size=2, max_size=7))
def test_pchip_is_scipy_s(points: list[tuple[float, float]]) -> None:
    knots = [(x, y if y > 1e-100 else 0.0) for x, y in sorted(points)]
    if min((b[0] - a[0] for a, b in itertools.pairwise(knots)), default=1.0) < 1e-6:
        knots = [(float(i), y) for i, (_, y) in enumerate(knots)]
    theirs = PchipInterpolator(*zip(*knots, strict=True))
    xs = np.linspace(knots[0][0], knots[-1][0], 23)
    assert [pchip(x, knots) for x in xs.tolist()] == pytest.approx(theirs(xs).tolist(), rel=0, abs=1e-12)
    assert [pchip(x, knots) for x, _ in knots] == [y for _, y in knots]


def test_pchip_is_level_outside_of_its_knots() -> None:
    assert [pchip(x, [(0.5, 0.25), (0.75, 1.0)]) for x in (0.0, 0.5, 0.75, 1.0)] == [0.25, 0.25, 1.0, 1.0]
    assert pchip(0.3, [(0.5, 0.25)]) == 0.25


def test_points_that_are_almost_at_one_place_become_one_with_the_higher_y() -> None:
    assert merge_close_points([(0.0, 0.2), (9e-10, 1.0), (1.1e-9, 0.5), (1.0, 0.0), (1.0, 0.1)]) == [
        (0.0, 1.0),
        (1.1e-9, 0.5),
        (1.0, 0.1),
    ]


@pytest.mark.parametrize("family", [TwoPointSpline, SmoothNonMonotonic], ids=lambda family: family.__name__)
def test_many_steps_at_once_have_the_bits_of_one_by_one(family: Any) -> None:
    rng = random.Random(3)
    for _ in range(40):
        schedule, steps = drawn(family, 60, rng), [-3.0, *(t / 2 for t in range(121)), 63.0]
        assert schedule.lrs(steps) == [schedule(step) for step in steps]
    assert pchips([0.0, math.inf], [(0.5, 0.25), (1.0, 0.5)]) == [0.25, 0.5]


# Exports: all examples of tests/test_formula.py go to every framework; here the ends of the ranges


@pytest.mark.parametrize("schedule", [s for s, _ in PLACES.values()], ids=PLACES)
def test_points_that_share_a_place_are_exported_by_their_formula(schedule: Any) -> None:
    text = export(schedule, 10, "torch", source="x")
    assert "stand in a table" not in text
    assert [imported(text)["lr"](step) for step in range(11)] == [schedule(step) for step in range(11)]


@WITH
def test_a_rate_that_is_no_rate_is_refused(family: Any) -> None:
    with pytest.raises(ValueError, match=r"^rise_rate: must be a number from 0\.001 to 1000, got 0$"):
        family(100, P, rise_rate=0)
