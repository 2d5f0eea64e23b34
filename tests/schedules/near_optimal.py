"""The formulas of the paper on near-optimal schedules, written down a second time and as plainly as possible."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from lrctl_schedules.constant import ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.generalized_cosine import GeneralizedCosine
from lrctl_schedules.rex import Rex
from lrctl_schedules.smooth import SmoothNonMonotonic
from lrctl_schedules.square_root import SquareRoot
from lrctl_schedules.two_point import TwoPointLinear, TwoPointSpline

RISES: dict[str, Callable[[float, float], float]] = {
    "linear": lambda q, _: q,
    "cosine": lambda q, _: (1 - math.cos(math.pi * q)) / 2,
    "exponential": lambda q, r: 1 - math.exp(-r * q),
    "polynomial": lambda q, r: q**r,
}


def cosine(u: float) -> float:
    return (1 + math.cos(math.pi * u)) / 2


def lifted(shape: float, end: float) -> float:
    return end + (1 - end) * shape


def points_of(s: Any) -> tuple[list[float], list[float]]:
    """The places and heights of a two-point schedule's points, over the part after the warmup."""
    y2 = s.dy * s.y1
    return [0, s.d1, s.d1 + s.d2 * (1 - s.d1), 1], [1, s.y1, y2, s.y_end * y2]


def five_points_of(s: Any) -> tuple[list[float], list[float]]:
    """The same of a smooth non-monotonic schedule, over the whole run."""
    places = [0, s.d1, s.d1 + (1 - s.d1) * s.d2, s.x_peak, 1]
    heights = [s.y_start, s.y1, s.y2, 1, s.y_end]
    order = sorted(range(5), key=places.__getitem__)
    return [places[i] for i in order], [heights[i] for i in order]


@lru_cache
def curve_of(s: Any) -> Any:
    """The curve through a schedule's points, as scipy has it."""
    return PchipInterpolator(*(five_points_of(s) if isinstance(s, SmoothNonMonotonic) else points_of(s)))


FALLS: dict[Any, Callable[[Any, float], float]] = {
    ConstantWithWarmup: lambda _, __: 1,
    Cosine: lambda s, u: lifted(cosine(u), s.end),
    GeneralizedCosine: lambda s, u: lifted(cosine(u) ** s.p, s.end),
    SquareRoot: lambda s, u: (1 - u**2) ** (s.bend / 2),
    Rex: lambda s, u: lifted((1 - u) / (1 - (1 - s.b) * u), s.end),
    TwoPointLinear: lambda s, u: float(np.interp(u, *points_of(s))),
    TwoPointSpline: lambda s, u: float(curve_of(s)(u)),
}
"""What a family with a warmup is after it, at u in [0, 1], as a share of the peak."""

WITH_WARMUP = list(FALLS)
NEW = [GeneralizedCosine, SquareRoot, TwoPointLinear, TwoPointSpline]
"""Of those with a warmup: one of at most one step is none."""


def told(s: Any, step: int) -> float:
    """What the paper's formula gives."""
    if isinstance(s, SmoothNonMonotonic):
        return s.peak_lr * float(curve_of(s)(step / s.steps))
    w = s.warmup * s.steps
    if step < w:
        first = type(s) in NEW and w <= 1
        return float(s.peak_lr * (1 if first else RISES[s.rise](step / w, s.rise_rate)))
    return float(s.peak_lr * FALLS[type(s)](s, (step - w) / (s.steps - w)))


def drawn(family: Any, steps: int, rng: random.Random) -> Any:
    """A member with parameters as a shape search draws them, points well apart."""
    share = rng.uniform
    own: dict[Any, Callable[[], dict[str, float]]] = {
        ConstantWithWarmup: dict,
        Cosine: lambda: {"end": share(0, 1)},
        GeneralizedCosine: lambda: {"p": math.exp(share(math.log(0.01), math.log(5))), "end": share(0, 1)},
        SquareRoot: lambda: {"bend": math.exp(share(math.log(0.01), math.log(5)))},
        Rex: lambda: {"b": math.exp(share(math.log(1e-3), math.log(1e2))), "end": share(0, 1)},
        SmoothNonMonotonic: lambda: {
            name: share(0.01, 0.99) for name in ("y_start", "d1", "y1", "d2", "y2", "x_peak", "y_end")
        },
    }
    points = {name: share(0.01, 0.99) for name in ("y1", "d1", "d2", "dy", "y_end")}
    params = own.get(family, lambda: points)()
    if family is SmoothNonMonotonic:
        return family(steps, 0.3, **params)
    rise: Any = rng.choice(list(RISES))
    return family(steps, 0.3, warmup=share(0, 0.3), rise=rise, rise_rate=share(0.5, 6), **params)
