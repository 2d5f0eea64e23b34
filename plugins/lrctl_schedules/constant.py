"""Constant, with or without warmup."""

from __future__ import annotations

from dataclasses import dataclass, field

from lrctl_schedules.lengths import in_steps
from lrctl_schedules.parameters import LengthsIn, PeakLr, Steps, Warmup, check_lengths, check_run
from lrctl_schedules.warmup import RiseIs, RiseRate, check_rise, risen


@dataclass(frozen=True, slots=True)
class Constant:
    """The same LR, P = `peak_lr`, from step 0 to the end.

    >>> Constant(steps=100, peak_lr=0.5)(0)
    0.5

    Raises:
        ValueError: a parameter is out of its range.
    """

    steps: Steps
    peak_lr: PeakLr

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)

    def __call__(self, _step: float) -> float:
        """The LR."""
        return self.peak_lr


@dataclass(frozen=True, slots=True)
class ConstantWithWarmup:
    """A linear warmup, then the same LR to the end.

    With P = `peak_lr` and w = `warmup` in steps:

        P t / w    for t in [0, w]
        P          for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w and step T = `steps` have exactly P. w is in [0, T].

    The warmup P t / w is that of `rise` "linear"; its other shapes are in `lrctl_schedules.warmup.risen`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [ConstantWithWarmup(steps=100, peak_lr=0.5, warmup=0.1)(step) for step in (0, 5, 10, 100)]
    [0.0, 0.25, 0.5, 0.5]

    Raises:
        ValueError: a parameter is out of its range.

    Source: `get_constant_schedule_with_warmup` of transformers.
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    rise: RiseIs = field(default="linear", kw_only=True)
    rise_rate: RiseRate = field(default=3.0, kw_only=True)
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)
        check_rise(self.rise, self.rise_rate)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        return self.peak_lr * risen(step, warmup, self.rise, self.rise_rate)
