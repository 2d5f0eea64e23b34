"""A power of half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import effective_warmup, half_cosine, in_steps, progress, warmup_factor, with_floor
from lrctl_schedules.parameters import End, LengthUnit, Range, WithWarmupShape


@dataclass(frozen=True, slots=True)
class GeneralizedCosine(WithWarmupShape):
    """A warmup, then half a cosine to some power, down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P r(t)                   for t in [0, w), with r by `rise`: see `lrctl_schedules.formulas.warmup_factor`
        P ((1 - c^p) e + c^p)    for t in [w, T]

    Step 0 has LR 0, or P where w is at most 1: all that such a warmup would do is to waste the first update. Step w has
    exactly P; step T has exactly e P, or P if p is 0 or the whole run is warmup. p = 1 is half a cosine, below it the
    LR stays high for longer, p = 0 is constant. w is in [0, T], p at least 0, e in [0, 1].

    >>> [GeneralizedCosine(steps=100, peak_lr=0.5, warmup=0.2, p=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.125, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    p: Annotated[
        float,
        "power of the cosine: 1 is the cosine itself, below 1 stays high for longer",
        Axis(0.01, 5.0, log=True),
        Range(0),
    ] = 1.0
    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay = math.pow(half_cosine(progress(step, warmup, self.steps)), self.p)
        factor = warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate)
        return self.peak_lr * factor * with_floor(decay, self.end)
