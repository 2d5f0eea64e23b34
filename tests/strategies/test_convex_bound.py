"""The convex bound against hand-computed values and against its formula, spelt out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrctl_strategies.closed_form.prediction import bound

Shapes = st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=30)


def spelt_out(lrs: list[float], norms: list[float], distance: float = 1.0) -> float:
    """The bound as it is printed, with sums from k to T for k = 1 ... T."""
    t = len(lrs)
    s = {k: sum(lrs[k - 1 :]) for k in range(1, t + 1)}
    q = {k: sum((lr * g) ** 2 for lr, g in zip(lrs[k - 1 :], norms[k - 1 :], strict=True)) for k in range(1, t + 1)}
    last = sum(lrs[k - 1] / s[k + 1] * q[k] / s[k] for k in range(1, t))
    return distance**2 / (2 * s[1]) + (q[1] / s[1] + last) / 2


def test_one_step_by_hand() -> None:
    assert bound([2.0]) == (1.0, 0.5)  # A = 1/4, B = 1


def test_two_unequal_steps_by_hand() -> None:
    # S = 3, 1; Q = 5, 1: A = 1/6, B = (5/3 + 2/1 * 5/3) / 2 = 5/2
    assert bound([2.0, 1.0]) == pytest.approx((2 * math.sqrt(5 / 12), math.sqrt(1 / 15)))


@given(Shapes, st.randoms(use_true_random=False), st.floats(0.1, 10))
def test_it_is_the_formula_at_the_best_base_lr(shape: list[float], random: object, distance: float) -> None:
    norms = [random.uniform(0.1, 3) for _ in shape]  # type: ignore[attr-defined]
    value, factor = bound(shape, norms, distance)
    at = [spelt_out([g * s for s in shape], norms, distance) for g in (factor, factor * 1.01, factor / 1.01)]
    assert value == pytest.approx(at[0])
    assert at[0] < min(at[1:])


@given(Shapes, st.floats(0.1, 10))
def test_a_shape_s_scale_does_not_matter_to_its_value(shape: list[float], scale: float) -> None:
    value, factor = bound(shape)
    scaled_value, scaled_factor = bound([scale * s for s in shape])
    assert (scaled_value, scaled_factor * scale) == pytest.approx((value, factor))


@given(Shapes, st.integers(1, 5))
def test_zeros_at_the_end_change_nothing(shape: list[float], zeros: int) -> None:
    assert bound([*shape, *[0.0] * zeros]) == bound(shape)


def test_linear_decay_beats_a_constant_as_the_theory_says() -> None:
    linear = [1 - step / 1000 for step in range(1000)]
    assert bound(linear)[0] < 0.7 * bound([1.0] * 1000)[0]


def test_a_schedule_of_zeros_is_refused() -> None:
    with pytest.raises(ValueError, match="0 at every step"):
        bound([0.0, 0.0])
