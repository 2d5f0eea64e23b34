"""Half a cosine, with linear warmup."""

from __future__ import annotations

from dataclasses import dataclass, field

from lrctl_schedules.lengths import above, cosine_fall, in_steps, progress
from lrctl_schedules.parameters import End, LengthsIn, PeakLr, Steps, Warmup, check_lengths, check_number, check_run
from lrctl_schedules.warmup import RiseIs, RiseRate, check_rise, risen


@dataclass(frozen=True, slots=True)
class Cosine:
    """A linear warmup, then half a cosine down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P t / w              for t in [0, w]
        P ((1 - c) e + c)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    w is in [0, T], e in [0, 1].

    The warmup P t / w is that of `rise` "linear"; its other shapes are in `lrctl_schedules.warmup.risen`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [Cosine(steps=100, peak_lr=0.5, warmup=0.2, end=0.5)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.25]

    Raises:
        ValueError: a parameter is out of its range.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    end: End = 0.0
    rise: RiseIs = field(default="linear", kw_only=True)
    rise_rate: RiseRate = field(default=3.0, kw_only=True)
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)
        check_number("end", self.end, 0, 1)
        check_rise(self.rise, self.rise_rate)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        return self.peak_lr * risen(step, warmup, self.rise, self.rise_rate) * above(self.end, cosine_fall(u))
