"""The power schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, linear_warmup, progress
from lrctl_schedules.parameters import Decay, LengthUnit, Range, WithWarmup


@dataclass(frozen=True, slots=True)
class Power(WithWarmup):
    """A linear warmup, the peak, a fall by a power law, and a cooldown at the end: WSD with a stable phase that falls.

    With T = `steps`, P = `peak_lr`, w = `warmup`, h = `hold` and d = `decay` in steps, k = `exponent`, and
    L(t) = min(1, (max(h, w) / t)^k):

        P t / w                   for t in [0, w]
        P L(t)                    for t in [w, T - d]
        P L(T - d) (T - t) / d    for t in [T - d, T]

    Step 0 has LR 0, or P without warmup; the LR is exactly P from step w to step max(h, w), or T - d if that is sooner;
    step T has LR 0, or P L(T) without decay. In the paper's terms P L(n) = min(P, a n^b), with b = -k and a = P h^k, n
    counted in steps. w and d are at least 0 and together at most T; h is in [1e-9 T, T], k in [0, 100].

    >>> [Power(steps=100, peak_lr=0.5, hold=0.2, exponent=1.0)(step) for step in (0, 5, 10, 20, 40, 80, 100)]
    [0.0, 0.25, 0.5, 0.5, 0.25, 0.125, 0.0]

    Source: Shen et al. 2024 (Power Scheduler), whose exponent is 0.51.
    """

    hold: Annotated[
        float,
        "length, from step 0 on, after which the power law begins",
        Axis(0.01, 1.0, log=True, length=True),
        Range(1e-9, 1),
    ] = 0.1
    exponent: Annotated[float, "how fast the power law falls", Axis(0.0, 2.0), Range(0, 100)] = 0.51
    decay: Decay = 0.1
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay_start = self.steps - in_steps(self.decay, self.steps, self.lengths)
        hold = max(warmup, in_steps(self.hold, self.steps, self.lengths))
        level = math.pow(hold / max(hold, min(step, decay_start)), self.exponent)
        return self.peak_lr * linear_warmup(step, warmup) * level * (1 - progress(step, decay_start, self.steps))
