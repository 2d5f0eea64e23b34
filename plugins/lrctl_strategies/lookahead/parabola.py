"""A parabola through losses over the logarithm of the LR."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parabola:
    """The loss at an LR, less that at the best one: a x^2 + b x, where x is the log of the LR over the best."""

    best: float
    a: float
    b: float

    @property
    def vertex(self) -> float:
        """The LR at which it is lowest."""
        return self.best * math.exp(-self.b / (2 * self.a)) if self.a else self.best

    @property
    def gain(self) -> float:
        """By how much it is lower there than at the best LR."""
        return self.b**2 / (4 * self.a) if self.a else 0.0

    def above(self, lr: float) -> float:
        """By how much it is higher at this LR than at the best one."""
        x = math.log(lr / self.best)
        return self.a * x**2 + self.b * x


def through(losses: Mapping[float, float]) -> Parabola:
    """The parabola through the lowest loss and its neighbours; flat where it has no two with finite losses."""
    lrs = sorted(losses)
    at = lrs.index(min(lrs, key=lambda lr: losses[lr]))
    best = lrs[at]
    if not 0 < at < len(lrs) - 1:
        return Parabola(best, 0.0, 0.0)
    below, above = (math.log(lrs[each] / best) for each in (at - 1, at + 1))
    low, high = (losses[lrs[each]] - losses[best] for each in (at - 1, at + 1))
    a = (high / above - low / below) / (above - below)
    return Parabola(best, a, low / below - a * below) if 0 < a < math.inf else Parabola(best, 0.0, 0.0)
