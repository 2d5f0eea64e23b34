"""Falls that never end: inverse time and inverse square root, with linear warmup."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, linear_warmup
from lrctl_schedules.parameters import LengthUnit, Range, WithWarmup

Timescale = Annotated[
    float,
    "length that the fall is measured in: the shorter, the faster",
    Axis(0.01, 1.0, log=True, length=True),
    Range(1e-9, 1e9),
]


@dataclass(frozen=True, slots=True)
class InverseTime(WithWarmup):
    """A linear warmup, then a fall like 1 / t.

    With T = `steps`, P = `peak_lr`, w = `warmup` and s = `timescale` in steps:

        P t / w                for t in [0, w]
        P s / (s + (t - w))    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P, step w + s half of it, step T has P s / (s + T - w).
    With s = w it is P w / t. w is in [0, T], s in [1e-9 T, 1e9 T].

    >>> [InverseTime(steps=100, peak_lr=0.5, warmup=0.1, timescale=0.1)(step) for step in (0, 5, 10, 20, 100)]
    [0.0, 0.25, 0.5, 0.25, 0.05]

    Source: Robbins & Monro 1951; `InverseTimeDecay` of Keras, whose decay_steps / decay_rate is s.
    """

    timescale: Timescale = 0.1
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        timescale = in_steps(self.timescale, self.steps, self.lengths)
        return self.peak_lr * linear_warmup(step, warmup) * inverse_time_decay(step - warmup, timescale)


@dataclass(frozen=True, slots=True)
class InverseSqrt(WithWarmup):
    """A linear warmup, then a fall like 1 / sqrt(t).

    With T = `steps`, P = `peak_lr`, w = `warmup` and s = `timescale` in steps:

        P t / w                      for t in [0, w]
        P sqrt(s / (s + (t - w)))    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P, step w + 3 s half of it, step T has
    P sqrt(s / (s + T - w)). With s = w it is P sqrt(w / t). w is in [0, T], s in [1e-9 T, 1e9 T].

    >>> [InverseSqrt(steps=100, peak_lr=0.5, warmup=0.1, timescale=0.1)(step) for step in (0, 5, 10, 40)]
    [0.0, 0.25, 0.5, 0.25]

    Source: Vaswani et al. 2017, section 5.3, where s = w; `get_inverse_sqrt_schedule` of transformers.
    """

    timescale: Timescale = 0.1
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        timescale = in_steps(self.timescale, self.steps, self.lengths)
        return self.peak_lr * linear_warmup(step, warmup) * math.sqrt(inverse_time_decay(step - warmup, timescale))


def inverse_time_decay(since: float, timescale: float) -> float:
    """What is left `since` steps after a fall like 1 / t began: 1 until then, 1/2 after one timescale."""
    return timescale / (timescale + max(0.0, since))
