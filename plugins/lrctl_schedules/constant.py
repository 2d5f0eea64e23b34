"""Constant, with or without warmup."""

from __future__ import annotations

from dataclasses import dataclass

from lrctl_schedules.lengths import in_steps, warmed
from lrctl_schedules.parameters import LengthsIn, PeakLr, Steps, Warmup, check_lengths, check_run


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

    >>> [ConstantWithWarmup(steps=100, peak_lr=0.5, warmup=0.1)(step) for step in (0, 5, 10, 100)]
    [0.0, 0.25, 0.5, 0.5]

    Raises:
        ValueError: a parameter is out of its range.

    Source: `get_constant_schedule_with_warmup` of transformers.
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        return self.peak_lr * warmed(step, in_steps(self.warmup, self.steps, self.lengths))
