"""A power of half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.lengths import above, cosine_fall, in_steps, progress
from lrctl_schedules.parameters import (
    LARGEST,
    End,
    LengthsIn,
    PeakLr,
    Steps,
    Warmup,
    check_lengths,
    check_number,
    check_run,
)
from lrctl_schedules.warmup import RiseIs, RiseRate, check_rise, lasting, risen


@dataclass(frozen=True, slots=True)
class GeneralizedCosine:
    """A warmup, then half a cosine to some power, down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P risen(t)                   for t in [0, w), by `rise`: see `lrctl_schedules.warmup.risen`
        P ((1 - c^p) e + c^p)        for t in [w, T]

    Step 0 has LR 0, or P where w is at most 1: all that such a warmup would do is to waste the first update. Step w has
    exactly P; step T has exactly e P, or P if p is 0 or the whole run is warmup. p = 1 is half a cosine, below it the
    LR stays high for longer, p = 0 is constant. w is in [0, T], p at least 0, e in [0, 1].

    >>> [GeneralizedCosine(steps=100, peak_lr=0.5, warmup=0.2, p=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.125, 0.0]

    Raises:
        ValueError: a parameter is out of its range.

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    p: Annotated[
        float, "power of the cosine: 1 is the cosine itself, below 1 stays high for longer", Axis(0.01, 5.0, log=True)
    ] = 1.0
    end: End = 0.0
    rise: RiseIs = field(default="linear", kw_only=True)
    rise_rate: RiseRate = field(default=3.0, kw_only=True)
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)
        check_number("p", self.p, 0, LARGEST)
        check_number("end", self.end, 0, 1)
        check_rise(self.rise, self.rise_rate)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        fallen = math.pow(cosine_fall(progress(step, warmup, self.steps)), self.p)
        return self.peak_lr * risen(step, lasting(warmup), self.rise, self.rise_rate) * above(self.end, fallen)
