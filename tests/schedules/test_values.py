"""Values that were worked out by hand, at the start, at the joints, between them, and at the end."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from cases import case
from lrctl_schedules.constant import Constant, ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
from lrctl_schedules.generalized_cosine import GeneralizedCosine
from lrctl_schedules.inverse import InverseSqrt, InverseTime
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.one_cycle import OneCycle
from lrctl_schedules.power import Power
from lrctl_schedules.rex import Rex
from lrctl_schedules.square_root import SquareRoot
from lrctl_schedules.step import StepDecay
from lrctl_schedules.symmetric import Quadratic, Triangle
from lrctl_schedules.wsd import WSD

R2 = math.sqrt(0.5)
"""cos(pi / 4)."""

P = 0.8
"""The peak of every schedule below; values are shares of it."""

EXACT: list[tuple[Any, dict[float, float]]] = [
    (WSD(100, P), {0: 0, 5: 0.5, 10: 1, 50: 1, 90: 1, 95: 0.5, 100: 0}),
    (WSD(100, P, 0.0, 0.0), {0: 1, 50: 1, 100: 1}),
    (WSD(100, P, 1.0, 0.0), {0: 0, 50: 0.5, 100: 1}),
    (WSD(100, P, 0.0, 1.0), {0: 1, 50: 0.5, 100: 0}),
    (WSD(100, P, 0.4, 0.6), {0: 0, 20: 0.5, 40: 1, 70: 0.5, 100: 0}),
    (WSD(100, P, 20, 40, 0.25, lengths="steps"), {0: 0, 10: 0.5, 20: 1, 60: 1, 80: 0.625, 100: 0.25}),
    (WSD(1, P), {0: 0, 0.05: 0.5, 0.5: 1, 1: 0}),
    (Cosine(100, P), {0: 0, 5: 0.5, 10: 1, 55: 0.5, 100: 0}),
    (Cosine(100, P, 0.0, 0.5), {0: 1, 50: 0.75, 100: 0.5}),
    (Cosine(100, P, 1.0), {0: 0, 50: 0.5, 100: 1}),
    (Cosine(100, P, 0.0, 1.0), {0: 1, 33: 1, 100: 1}),
    (Linear(100, P), {0: 0, 5: 0.5, 10: 1, 55: 0.5, 100: 0}),
    (Linear(100, P, 60, 0.5, "steps"), {0: 0, 30: 0.5, 60: 1, 80: 0.75, 100: 0.5}),
    (Linear(100, P, 1.0), {0: 0, 50: 0.5, 100: 1}),
    (Polynomial(100, P, 0.2), {0: 0, 10: 0.5, 20: 1, 40: 0.5625, 60: 0.25, 100: 0}),
    (Polynomial(100, P, 0.2, 0.5), {0: 0, 20: 1, 80: 0.5, 95: 0.25, 100: 0}),
    (Polynomial(100, P, 0.2, 3.0, 0.2), {0: 0, 20: 1, 60: 0.3, 100: 0.2}),
    (Polynomial(100, P, 0.2, 0.0), {0: 0, 20: 1, 60: 1, 100: 1}),
    (Constant(100, P), {0: 1, 50: 1, 100: 1}),
    (ConstantWithWarmup(100, P), {0: 0, 5: 0.5, 10: 1, 100: 1}),
    (ConstantWithWarmup(100, P, 0.0), {0: 1, 100: 1}),
    (ConstantWithWarmup(100, P, 100, "steps"), {0: 0, 50: 0.5, 100: 1}),
    (Triangle(100, P), {0: 0, 25: 0.5, 50: 1, 75: 0.5, 100: 0}),
    (Triangle(5, P), {0: 0, 1: 0.4, 2.5: 1, 4: 0.4, 5: 0}),
    (Quadratic(100, P), {0: 0, 25: 0.75, 50: 1, 75: 0.75, 90: 0.36, 100: 0}),
    (StepDecay(90, P), {0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01, 89: 0.01, 90: 0.001}),
    (StepDecay(100, P, 40, 0.5, "steps"), {0: 1, 39.9: 1, 40: 0.5, 80: 0.25, 100: 0.25}),
    (StepDecay(100, P, 1.0), {0: 1, 99: 1, 100: 0.1}),
    (StepDecay(100, P, 0.5, 0.0), {0: 1, 49: 1, 50: 0, 100: 0}),
    (InverseTime(100, P), {0: 0, 5: 0.5, 10: 1, 20: 0.5, 50: 0.2, 100: 0.1}),
    (InverseTime(100, P, 0.0, 50, "steps"), {0: 1, 50: 0.5, 100: 1 / 3}),
    (InverseSqrt(100, P), {0: 0, 5: 0.5, 10: 1, 20: R2, 40: 0.5, 90: 1 / 3}),
    (InverseSqrt(90, P, 0.0, 1 / 3), {0: 1, 30: R2, 90: 0.5}),
    (CosineWithRestarts(90, P), {0: 0, 4.5: 0.5, 9: 1, 9 + 81 / 8: 0.5, 9 + 81 / 4: 1, 9 + 3 * 81 / 4: 1, 90: 0}),
    (CosineWithRestarts(70, P, 0.0, 3, 2.0, 0.5), {0: 1, 5: 0.75, 10: 1, 20: 0.75, 30: 1, 50: 0.75, 70: 0.5}),
    (CosineWithRestarts(70, P, 1.0), {0: 0, 35: 0.5, 70: 1}),
    (OneCycle(100, P), {0: 0.04, 15: 0.52, 30: 1, 65: 0.500002, 100: 4e-6}),
    (OneCycle(100, P, 0.3, 0.1, 0.2, "linear"), {0: 0.1, 15: 0.55, 30: 1, 65: 0.6, 100: 0.2}),
    (OneCycle(100, P, 0.0), {0: 1, 50: 0.500002, 100: 4e-6}),
    (OneCycle(100, P, 100, 0.0, lengths="steps"), {0: 0, 50: 0.5, 100: 1}),
    (Cyclical(80, P), {0: 0.25, 5: 0.625, 10: 1, 15: 0.625, 20: 0.25, 30: 1, 70: 1, 80: 0.25}),
    (Cyclical(80, P, 2, 0.0, 0.25, 0.5), {0: 0, 5: 0.5, 10: 1, 25: 0.5, 40: 0, 50: 0.5, 80: 0}),
    (Cyclical(80, P, 2, 0.0, 0.0), {0: 1, 20: 0.5, 40: 1, 60: 0.5, 80: 0}),
    (Cyclical(80, P, 2, 0.0, 1.0, 0.5), {0: 0, 20: 0.5, 40: 0, 60: 0.25, 80: 0.5}),
    (Rex(100, P, 0.2), {0: 0, 10: 0.5, 20: 1, 60: 2 / 3, 84: 1 / 3, 100: 0}),
    (Rex(100, P, 0.2, 1.0), {0: 0, 20: 1, 60: 0.5, 100: 0}),
    (Rex(100, P, 0.0, 2.0, 0.1), {0: 1, 50: 0.4, 100: 0.1}),
    (Rex(100, P, 0.0, 1e-9), {0: 1, 50: 1 / (1 + 1e-9), 100: 0}),
    (Power(100, P, 0.1, 0.2, 1.0), {0: 0, 5: 0.5, 10: 1, 20: 1, 40: 0.5, 90: 2 / 9, 95: 1 / 9, 100: 0}),
    (Power(100, P, 0.0, 0.25, 0.5, 0.0), {0: 1, 25: 1, 50: R2, 100: 0.5}),
    (Power(100, P, 25, 1, 0.5, 0.0, "steps"), {0: 0, 25: 1, 100: 0.5}),
    (Power(100, P, 0.5, 0.1, 2.0, 0.5), {0: 0, 25: 0.5, 50: 1, 75: 0.5, 100: 0}),
]


def test_values() -> None:
    for schedule, shares in EXACT:
        with case(schedule=schedule):
            assert {step: schedule(step) / P for step in shares} == pytest.approx(shares, rel=1e-12, abs=1e-15)


def test_the_peak_and_zero_are_met_exactly() -> None:
    for schedule, shares in EXACT:
        for step, share in shares.items():
            with case(schedule=schedule, step=step):
                assert schedule(step) == P * share or share not in (0, 1)


@pytest.mark.parametrize(
    ("cooldown", "quarter", "half"),
    [
        ("linear", 0.75, 0.5),
        ("1-sqrt", 0.5, 1 - R2),
        ("cosine", (1 + R2) / 2, 0.5),
        ("square", 15 / 16, 0.75),
        ("exponential", (math.exp(3.75) - 1) / (math.exp(5) - 1), (math.exp(2.5) - 1) / (math.exp(5) - 1)),
    ],
)
def test_the_cooldowns_of_wsd(cooldown: Any, quarter: float, half: float) -> None:
    wsd = WSD(100, P, decay=0.4, cooldown=cooldown)
    assert (wsd(60), wsd(100)) == (P, 0)
    assert (wsd(70) / P, wsd(80) / P) == pytest.approx((quarter, half))
    raised = replace(wsd, end=0.2)
    assert (raised(60), raised(100)) == (P, P * 0.2)
    assert raised(80) == pytest.approx(P * (0.2 + 0.8 * half))


@pytest.mark.parametrize("steps", [10, 70, 100, 130, 2000, 123_456_789])
def test_joints_lie_on_the_steps_that_fractions_mean(steps: int) -> None:
    """0.1 of 70 steps is 7.000000000000001 in floating point."""
    tenth = steps // 10 if steps % 10 == 0 else steps / 10
    assert WSD(steps, P, 0.1, 0.7)(tenth) == P
    assert WSD(steps, P, 0.3, 0.1)(steps - tenth) == P
    assert [StepDecay(steps, P, 0.1)(k * tenth) for k in range(10)] == [P * math.pow(0.1, k) for k in range(10)]
    assert [CosineWithRestarts(steps, P, 0.0, 10)(k * tenth) for k in range(10)] == [P] * 10
    assert [Cyclical(steps, P, 10, rise=0.0)(k * tenth) for k in range(10)] == [P] * 10


def test_a_length_is_not_rounded_to_whole_steps() -> None:
    assert WSD(10, P, 0.25)(2) == P * 0.8
    assert WSD(10, P, 2.5, 1, lengths="steps")(2) == P * 0.8


@pytest.mark.parametrize("family", [WSD, Power])
def test_a_warmup_and_a_decay_longer_than_the_run_are_refused(family: Any) -> None:
    with pytest.raises(ValueError, match=r"^warmup \+ decay: must be at most 1, the run, got 1\.2$"):
        family(100, P, warmup=0.5, decay=0.7)
    with pytest.raises(ValueError, match=r"^warmup \+ decay: must be at most 100, the run, got 101$"):
        family(100, P, warmup=50, decay=51, lengths="steps")
    with pytest.raises(ValueError, match=r"^warmup: must be a number from 0 to 1, got 1\.5$"):
        family(100, P, warmup=1.5, decay=0.7)


@pytest.mark.parametrize(
    ("family", "params", "message"),
    [
        (StepDecay, {"period": 0.0}, r"^period: must be a number from 1e-09 to 1, got 0\.0$"),
        (StepDecay, {"period": 0, "lengths": "steps"}, r"^period: must be a number from 1e-07 to 100, got 0$"),
        (StepDecay, {"factor": 1.1}, r"^factor: must be a number from 0 to 1, got 1\.1$"),
        (InverseTime, {"timescale": 0.0}, r"^timescale: must be a number from 1e-09 to 1e\+09, got 0\.0$"),
        (CosineWithRestarts, {"cycles": 0}, r"^cycles: must be a whole number from 1 to 100, got 0$"),
        (CosineWithRestarts, {"growth": 0.9}, r"^growth: must be a number from 1 to 10, got 0\.9$"),
        (Cyclical, {"cycles": 2.0}, r"^cycles: must be a whole number from 1 to .*, got 2\.0$"),
        (Cyclical, {"factor": 1.1}, r"^factor: must be a number from 0 to 1, got 1\.1$"),
        (Power, {"hold": 1.1}, r"^hold: must be a number from 1e-09 to 1, got 1\.1$"),
        (Power, {"exponent": 101.0}, r"^exponent: must be a number from 0 to 100, got 101\.0$"),
        (SquareRoot, {"bend": -0.1}, r"^bend: must be a number of at least 0, and finite, got -0\.1$"),
        (GeneralizedCosine, {"p": -0.1}, r"^p: must be a number of at least 0, and finite, got -0\.1$"),
        (Rex, {"b": 0.0}, r"^b: must be a number from 1e-09 to 1e\+09, got 0\.0$"),
        (Polynomial, {"power": -0.1}, r"^power: must be a number of at least 0, and finite, got -0\.1$"),
        (Cosine, {"end": 1.1}, r"^end: must be a number from 0 to 1, got 1\.1$"),
    ],
)
def test_what_is_out_of_range_is_refused(family: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        family(100, P, **params)
