"""The shapes of a warmup, and how long it has to be to count as one."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from lrctl.contracts.axes import Fixed
from lrctl_schedules.lengths import cosine_fall, warmed
from lrctl_schedules.parameters import check_choice, check_number

Rise = Literal["linear", "cosine", "exponential", "polynomial"]
RiseIs = Annotated[Rise, "shape of the warmup", Fixed()]
RiseRate = Annotated[
    float, "how fast an exponential warmup rises, or the power of a polynomial one; the others have none", Fixed()
]


def check_rise(rise: Any, rise_rate: Any) -> None:
    """Refuse what is no shape of a warmup.

    Raises:
        ValueError: names the parameter.
    """
    check_choice("rise", rise, Rise)
    check_number("rise_rate", rise_rate, 1e-3, 1e3)


def risen(step: float, warmup: float, rise: str, rate: float) -> float:
    """What a warmup from 0 has reached at `step`, with q = step / `warmup`; 1 from step `warmup` on.

    | `rise` | for q in [0, 1) |
    |---|---|
    | `linear` | q |
    | `cosine` | (1 - cos(pi q)) / 2 |
    | `exponential` | 1 - exp(-`rate` q) |
    | `polynomial` | q^`rate` |

    The exponential does not reach 1: at q = 1 it jumps by exp(-`rate`), which is 0.05 for a rate of 3.

    >>> [risen(5, 10, rise, 2.0) for rise in ("linear", "cosine", "polynomial")]
    [0.5, 0.5, 0.25]
    """
    q = warmed(step, warmup)
    if rise == "linear" or q >= 1:
        return q
    if rise == "cosine":
        return cosine_fall(1 - q)
    if rise == "exponential":
        return -math.expm1(-rate * q)
    return math.pow(q, rate)


def lasting(warmup: float) -> float:
    """A warmup in steps that changes more than step 0: 0 if it is at most one step long.

    All that such a warmup would do is to give LR 0 to the first update, which then teaches nothing.

    >>> lasting(1.0), lasting(1.5)
    (0.0, 1.5)
    """
    return warmup if warmup > 1 else 0.0
