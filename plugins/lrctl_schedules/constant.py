"""Constant, with or without warmup."""

from __future__ import annotations

from dataclasses import dataclass

from lrctl_schedules.formulas import in_steps, warmup_factor
from lrctl_schedules.parameters import LengthUnit, Scalable, WithWarmupShape


@dataclass(frozen=True, slots=True)
class Constant(Scalable):
    """The same LR, P = `peak_lr`, from step 0 to the end.

    >>> Constant(steps=100, peak_lr=0.5)(0)
    0.5
    """

    def __call__(self, _step: float) -> float:
        return self.peak_lr


@dataclass(frozen=True, slots=True)
class ConstantWithWarmup(WithWarmupShape):
    """A linear warmup, then the same LR to the end.

    With P = `peak_lr` and w = `warmup` in steps:

        P t / w    for t in [0, w]
        P          for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w and step T = `steps` have exactly P. w is in [0, T].

    The warmup P t / w is that of `rise` "linear"; for other shapes see `lrctl_schedules.formulas.warmup_factor`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [ConstantWithWarmup(steps=100, peak_lr=0.5, warmup=0.1)(step) for step in (0, 5, 10, 100)]
    [0.0, 0.25, 0.5, 0.5]

    Source: `get_constant_schedule_with_warmup` of transformers.
    """

    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        return self.peak_lr * warmup_factor(step, warmup, self.rise, self.rise_rate)
