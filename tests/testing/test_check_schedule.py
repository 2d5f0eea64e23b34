"""The check of schedules for authors of plugins: built-in families pass it, and what is broken does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from lrctl import testing
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule, Scope
from lrctl.registry.registry import registry
from lrctl_schedules.constant import Constant, ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
from lrctl_schedules.generalized_cosine import GeneralizedCosine
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.inverse import InverseSqrt, InverseTime
from lrctl_schedules.line_search import LineSearch
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.one_cycle import OneCycle
from lrctl_schedules.plateau import Plateau
from lrctl_schedules.power import Power
from lrctl_schedules.rex import Rex
from lrctl_schedules.smooth import SmoothNonMonotonic
from lrctl_schedules.square_root import SquareRoot
from lrctl_schedules.step import StepDecay
from lrctl_schedules.symmetric import Quadratic, Triangle
from lrctl_schedules.two_point import TwoPointLinear, TwoPointSpline
from lrctl_schedules.wsd import WSD
from testing.trials import count

SCHEDULES: dict[str, list[Any]] = {
    "piecewise-linear": [
        PiecewiseLinear(((0, 0.1),)),
        PiecewiseLinear(((0, 0.0), (7, 0.3), (60, 0.0))),
        PiecewiseLinear(((10, 0.1), (20, 1e-12))),
    ],
    "wsd": [
        WSD(60, 0.3),
        WSD(60, 0.3, 0.0, 0.0),
        WSD(60, 0.3, 13, 29, 0.1, "1-sqrt", "steps"),
        WSD(60, 0.3, 0.25, 0.75, cooldown="exponential"),
    ],
    "cosine": [Cosine(60, 0.3), Cosine(60, 0.3, 0.0, 0.1), Cosine(60, 0.3, 60, lengths="steps", rise="exponential")],
    "linear": [Linear(60, 0.3), Linear(60, 0.3, 0.0, 0.1), Linear(60, 0.3, 60, lengths="steps")],
    "polynomial": [Polynomial(60, 0.3), Polynomial(60, 0.3, 7, 0.5, 0.1, "steps"), Polynomial(60, 0.3, power=0.0)],
    "constant": [Constant(60, 0.3), Constant(60, 0.0)],
    "constant-with-warmup": [ConstantWithWarmup(60, 0.3), ConstantWithWarmup(60, 0.3, 2.5, "steps", rise="cosine")],
    "triangle": [Triangle(60, 0.3), Triangle(7, 1e-9)],
    "quadratic": [Quadratic(60, 0.3), Quadratic(7, 1e-9)],
    "step": [StepDecay(60, 0.3), StepDecay(60, 0.3, 7, 0.5, "steps"), StepDecay(60, 0.3, 0.1, 0.0)],
    "inverse-time": [InverseTime(60, 0.3), InverseTime(60, 0.3, 0, 1000, "steps")],
    "inverse-sqrt": [InverseSqrt(60, 0.3), InverseSqrt(60, 0.3, 0, 1000, "steps")],
    "cosine-with-restarts": [
        CosineWithRestarts(60, 0.3),
        CosineWithRestarts(60, 0.3, 4, 3, 2.0, 0.1, "steps"),
        CosineWithRestarts(60, 0.3, 1.0),
    ],
    "one-cycle": [
        OneCycle(60, 0.3),
        OneCycle(60, 0.3, 0.0),
        OneCycle(60, 0.3, 60, 0.1, 0.01, "linear", "steps"),
    ],
    "cyclical": [Cyclical(60, 0.3), Cyclical(60, 0.3, 3, 0.0, 1.0, 0.5), Cyclical(60, 0.3, 7, 0.1, 0.0)],
    "rex": [Rex(60, 0.3), Rex(60, 0.3, 7, 3.0, 0.1, "steps", rise="polynomial"), Rex(60, 0.3, 0.0, 1e-3)],
    "power": [Power(60, 0.3), Power(60, 0.3, 0, 7, 2.0, 0, "steps"), Power(60, 0.3, 0.5, 0.1, 1.0, 0.5)],
    "generalized-cosine": [GeneralizedCosine(60, 0.3), GeneralizedCosine(60, 0.3, 7, 0.5, 0.1, "steps", rise="cosine")],
    "square-root": [
        SquareRoot(60, 0.3),
        SquareRoot(60, 0.3, 1, 0.01, "steps"),
        SquareRoot(60, 0.3, 0.5, 5.0, rise="exponential"),
    ],
    "two-point-linear": [
        TwoPointLinear(60, 0.3),
        TwoPointLinear(60, 0.3, 7, 0.8, 0.0, 1.0, 0.5, 0.2, "steps", rise="polynomial"),
        TwoPointLinear(60, 0.3, 0.0, 0.8, 0.3, 0.3),
    ],
    "two-point-spline": [
        TwoPointSpline(60, 0.3),
        TwoPointSpline(60, 0.3, 7, 0.8, 0.0, 1.0, 0.5, 0.2, "steps", rise="cosine", rise_rate=5.0),
        TwoPointSpline(60, 0.3, 0.0, 0.8, 0.3, 0.3),
    ],
    "smooth-non-monotonic": [
        SmoothNonMonotonic(60, 0.3),
        SmoothNonMonotonic(60, 0.3, 0.9, 0.7, 0.1, 0.5, 0.8, 0.5, 0.3),
        SmoothNonMonotonic(60, 0.3, 0.0, 0.0, 0.5, 1.0, 0.2, 1.0, 0.5),
    ],
    "greedy": [
        Greedy(0.3),
        Greedy((0.3, 0.1), patience=0, factor=0.5, reset_start=2, window_size=2, cooldown=1, warmup=1),
        Greedy((0.3, 0.3), "authors", patience=0, smooth=False, reset_start=3, cooldown=1, warmup=1),
        Greedy(0.3, "paper", "max", 0.5, 0, reset_start=4, threshold_mode="rel"),
        Greedy(0.3, patience=0, min_lr=(0.2,), max_lr=0.0, reset_start=None),
    ],
    "plateau": [Plateau(0.3), Plateau((0.3, 0.0), patience=0, cooldown=1, min_lr=(0.1, 0.0), mode="max")],
    "hypergradient": [
        Hypergradient(0.3),
        Hypergradient(0.3, 0.5, "group", max_lr=0.4),
        Hypergradient(0.3, 0.5, "element"),
        *(Hypergradient(0.3, 0.5, scope, None) for scope in get_args(Scope)),
    ],
    "line-search": [LineSearch(), LineSearch(0.01, 0.5, 0.5, 4.0, 1, 0.02, 2)],
}


@pytest.mark.parametrize("name", [part.name for part in registry().of("schedule")])
def test_a_built_in_schedule_keeps_its_contract(name: str) -> None:
    family = registry().get("schedule", name).target
    for schedule in SCHEDULES[name]:
        assert type(schedule) is family
        if isinstance(schedule, AdaptiveSchedule):
            testing.check_adaptive_schedule(schedule, [3.0, 2.0, 2.5, math.nan, 1.0, 1.5, math.inf, 0.5])
        else:
            testing.check_schedule(schedule, 60)


@dataclass(frozen=True)
class Nan:
    lr: float = 0.1

    def __call__(self, step: float) -> float:
        return math.nan if step == 5 else self.lr


@dataclass(frozen=True)
class Negative:
    lr: float = 0.1

    def __call__(self, step: float) -> float:
        return self.lr - 0.01 * step


@dataclass(frozen=True)
class Restless:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr + next(count)


@dataclass(frozen=True, eq=False)
class Unequal:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr


@dataclass(frozen=True, eq=False)
class Lonely(Unequal):
    def __hash__(self) -> int:
        return 0


@dataclass(frozen=True)
class Capped:
    steps: int = 20
    peak_lr: float = 0.4

    def __call__(self, _step: float) -> float:
        return min(self.peak_lr, 0.5)


@dataclass(frozen=True)
class Rooted(Capped):
    def __call__(self, _step: float) -> float:
        return math.sqrt(self.peak_lr)


@dataclass(frozen=True)
class Hasty(Capped):
    half_life: float = 10.0

    def __call__(self, step: float) -> float:
        return self.peak_lr * math.pow(0.5, step / self.half_life)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("constant", "cannot be called"),
        (Unequal(), "equal schedules must have equal hashes"),
        (Nan(), "gives nan at step 5"),
        (Negative(), "gives -0.0"),
        (Restless(), "gives two values at step 0"),
        (Lonely(), "comes back from JSON as"),
        (Capped(), r"is not linear in peak_lr at step 0: 0\.5, not 1\.2"),
        (Rooted(), "is not linear in peak_lr at step 0"),
        (Hasty(), r"stretched to twice its steps, has LR 0\.34\d* at step 2, not 0\.37"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_schedules_finds_what_is_broken(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_schedule(schedule, 20)
