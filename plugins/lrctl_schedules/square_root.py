"""An arc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import effective_warmup, in_steps, progress, warmup_factor
from lrctl_schedules.parameters import LengthUnit, Range, WithWarmupShape


@dataclass(frozen=True, slots=True)
class SquareRoot(WithWarmupShape):
    """A warmup, then an arc: a quarter of a circle, or a power of it, down to 0.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, a = `bend` and u = (t - w) / (T - w):

        P r(t)                 for t in [0, w), with r by `rise`: see `lrctl_schedules.formulas.warmup_factor`
        P (1 - u^2)^(a / 2)    for t in [w, T]

    Step 0 has LR 0, or P where w is at most 1: all that such a warmup would do is to waste the first update. Step w has
    exactly P; step T has exactly 0, or P if a is 0 or the whole run is warmup. a = 1 is a quarter of a circle, a = 2 a
    parabola, a = 0 is constant. w is in [0, T], a at least 0.

    >>> [SquareRoot(steps=100, peak_lr=0.5, warmup=0.2, bend=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    bend: Annotated[
        float,
        "power of the arc: 1 is a quarter of a circle, below 1 stays high for longer",
        Axis(0.01, 5.0, log=True),
        Range(0),
    ] = 1.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        # 1 - u * u would lose digits near the end.
        decay = math.pow((1 - u) * (1 + u), self.bend / 2)
        return self.peak_lr * warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate) * decay
