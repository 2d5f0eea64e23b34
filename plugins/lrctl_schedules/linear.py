"""Straight and polynomial falls, and none at all, with linear warmup or without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, linear_warmup, progress, warmup_factor, with_floor
from lrctl_schedules.parameters import End, LengthUnit, Range, Scalable, WithWarmup, WithWarmupShape


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


@dataclass(frozen=True, slots=True)
class Linear(WithWarmup):
    """A linear warmup, then a straight line down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end` and u = (t - w) / (T - w):

        P t / w              for t in [0, w]
        P ((1 - u) + u e)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    w is in [0, T], e in [0, 1].

    >>> [Linear(steps=100, peak_lr=0.5, warmup=0.2)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.25, 0.0]

    Source: `get_linear_schedule_with_warmup` of transformers.
    """

    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        return self.peak_lr * linear_warmup(step, warmup) * with_floor(1 - u, self.end)


@dataclass(frozen=True, slots=True)
class Polynomial(WithWarmup):
    """A linear warmup, then a power of what is left of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, p = `power`, e = `end`, u = (t - w) / (T - w) and
    r = (1 - u)^p:

        P t / w              for t in [0, w]
        P ((1 - r) e + r)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    p = 1 is a straight line, p = 0 is constant. w is in [0, T], p is at least 0, e in [0, 1].

    >>> [Polynomial(steps=100, peak_lr=0.5, warmup=0.2, power=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.125, 0.0]

    Source: `get_polynomial_decay_schedule_with_warmup` of transformers, `PolynomialLR` of torch.
    """

    power: Annotated[
        float,
        "how the fall bends: 1 is straight, above 1 falls early",
        Axis(0.1, 5.0, log=True, grid=(0.5, 1.0, 2.0)),
        Range(0),
    ] = 2.0
    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        return self.peak_lr * linear_warmup(step, warmup) * with_floor((1 - u) ** self.power, self.end)
