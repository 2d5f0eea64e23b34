"""The parameters of a warmup, its shapes, and how long it has to be to count as one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from lrctl.contracts.axes import Axis, Fixed
from lrctl_schedules.checks import Range
from lrctl_schedules.formulas import half_cosine
from lrctl_schedules.parameters import Scalable

Warmup = Annotated[
    float,
    "length of the linear warmup from LR 0",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True, draw=(0.0, 0.3)),
]
Rise = Literal["linear", "cosine", "exponential", "polynomial"]


@dataclass(frozen=True, slots=True)
class WithWarmup(Scalable):
    """A schedule with a linear warmup."""

    warmup: Warmup = 0.1


@dataclass(frozen=True, slots=True)
class WithWarmupShape(WithWarmup):
    """A schedule with a warmup of any shape: see `warmup_factor`."""

    rise: Annotated[Rise, "shape of the warmup", Fixed()] = field(default="linear", kw_only=True)
    rise_rate: Annotated[
        float,
        "how fast an exponential warmup rises, or the power of a polynomial one; the others have none",
        Range(1e-3, 1e3),
        Fixed(),
    ] = field(default=3.0, kw_only=True)


def linear_warmup(step: float, warmup: float) -> float:
    """What a linear warmup from 0 has reached at `step`: 1 from step `warmup` on, and so everywhere if that is 0."""
    step = max(0.0, step)
    return 1.0 if step >= warmup else step / warmup


def warmup_factor(step: float, warmup: float, rise: str, rate: float) -> float:
    """What a warmup from 0 has reached at `step`, with q = step / `warmup`; 1 from step `warmup` on.

    | `rise` | for q in [0, 1) |
    |---|---|
    | `linear` | q |
    | `cosine` | (1 - cos(pi q)) / 2 |
    | `exponential` | 1 - exp(-`rate` q) |
    | `polynomial` | q^`rate` |

    The exponential does not reach 1: at q = 1 it jumps by exp(-`rate`), which is 0.05 for a rate of 3.

    >>> [warmup_factor(5, 10, rise, 2.0) for rise in ("linear", "cosine", "polynomial")]
    [0.5, 0.5, 0.25]
    """
    q = linear_warmup(step, warmup)
    if rise == "linear" or q >= 1:
        return q
    if rise == "cosine":
        return half_cosine(1 - q)
    if rise == "exponential":
        return -math.expm1(-rate * q)
    return math.pow(q, rate)


def effective_warmup(warmup: float) -> float:
    """A warmup in steps that changes more than step 0: 0 if it is at most one step long.

    All that such a warmup would do is to give LR 0 to the first update, which then teaches nothing.

    >>> effective_warmup(1.0), effective_warmup(1.5)
    (0.0, 1.5)
    """
    return warmup if warmup > 1 else 0.0
