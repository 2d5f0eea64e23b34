"""Symmetric rises and falls with nothing but a peak: triangle and quadratic."""

from __future__ import annotations

from dataclasses import dataclass

from lrctl_schedules.formulas import progress
from lrctl_schedules.parameters import Scalable


@dataclass(frozen=True, slots=True)
class Triangle(Scalable):
    """Straight up to the peak in the middle of the run, and straight down again.

    With T = `steps`, P = `peak_lr` and u = t / T:

        P (1 - |1 - 2 u|)    for t in [0, T]

    Steps 0 and T have LR 0, step T / 2 has exactly P.

    >>> [Triangle(steps=100, peak_lr=0.5)(step) for step in (0, 25, 50, 75, 100)]
    [0.0, 0.25, 0.5, 0.25, 0.0]

    Source: the semi-local search paper, section 4.3 (symmetric linear).
    """

    def __call__(self, step: float) -> float:
        u = progress(step, 0, self.steps)
        return self.peak_lr * (1 - abs(1 - 2 * u))


@dataclass(frozen=True, slots=True)
class Quadratic(Scalable):
    """A downward parabola with the peak in the middle of the run.

    With T = `steps`, P = `peak_lr` and u = t / T:

        P 4 u (1 - u)    for t in [0, T]

    Steps 0 and T have LR 0, step T / 2 has exactly P.

    >>> [Quadratic(steps=100, peak_lr=0.5)(step) for step in (0, 25, 50, 75, 100)]
    [0.0, 0.375, 0.5, 0.375, 0.0]

    Source: the semi-local search paper, section 4.3 (symmetric quadratic).
    """

    def __call__(self, step: float) -> float:
        u = progress(step, 0, self.steps)
        return self.peak_lr * (4 * u * (1 - u))
