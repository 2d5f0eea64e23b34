"""Straight and polynomial falls, with linear warmup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, linear_warmup, progress, with_floor
from lrctl_schedules.parameters import End, LengthUnit, Range, WithWarmup


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
