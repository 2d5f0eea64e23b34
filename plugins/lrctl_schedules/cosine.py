"""Half a cosine, with linear warmup."""

from __future__ import annotations

from dataclasses import dataclass

from lrctl_schedules.formulas import half_cosine, in_steps, progress, warmup_factor, with_floor
from lrctl_schedules.parameters import End, LengthUnit, WithWarmupShape


@dataclass(frozen=True, slots=True)
class Cosine(WithWarmupShape):
    """A linear warmup, then half a cosine down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P t / w              for t in [0, w]
        P ((1 - c) e + c)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    w is in [0, T], e in [0, 1].

    The warmup P t / w is that of `rise` "linear"; for other shapes see `lrctl_schedules.formulas.warmup_factor`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [Cosine(steps=100, peak_lr=0.5, warmup=0.2, end=0.5)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.25]

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """

    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay = half_cosine(progress(step, warmup, self.steps))
        return self.peak_lr * warmup_factor(step, warmup, self.rise, self.rise_rate) * with_floor(decay, self.end)
