"""Straight lines between knots: the form in which a search answers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lrctl.contracts.canonical import listed


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """Straight lines between knots (step, LR).

    Between neighbouring knots (s0, a) and (s1, b), with f = (step - s0) / (s1 - s0), the LR is (1 - f) a + f b:
    exact at both ends, which a + (b - a) f is not. Before the first knot it is the first knot's LR, after the
    last knot the last one's.

    >>> PiecewiseLinear(((0, 0.0), (10, 1.0), (30, 0.0)))(5)
    0.5

    Raises:
        ValueError: no knots, steps that do not increase, or an LR that is negative or not finite.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "knots", tuple((step, lr) for step, lr in listed(self.knots)))
        steps = [step for step, _ in self.knots]
        if not steps:
            raise ValueError("knots: at least one (step, lr) pair is needed")
        if any(isinstance(each, bool) or not isinstance(each, int | float) for knot in self.knots for each in knot):
            raise ValueError(f"knots: every step and LR must be a number, got {self.knots}")
        if not all(map(math.isfinite, steps)):
            raise ValueError(f"knots: every step must be finite, got {steps}")
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError(f"knots: steps must increase, got {steps}")
        if any(not (math.isfinite(lr) and lr >= 0) for _, lr in self.knots):
            raise ValueError(f"knots: every LR must be finite and >= 0, got {[lr for _, lr in self.knots]}")

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        right = bisect_right(self.knots, step, key=lambda knot: knot[0])
        if right == 0:
            return self.knots[0][1]
        if right == len(self.knots):
            return self.knots[-1][1]
        (s0, a), (s1, b) = self.knots[right - 1], self.knots[right]
        f = (step - s0) / (s1 - s0)
        return (1 - f) * a + f * b


BEND = 1e-14
"""Steps count as lying on a line with their neighbours up to this share of the largest LR."""

SAME = 1e-12
"""By what share an LR on such a line may differ from the one that it stands for."""


def through(lrs: Sequence[float]) -> PiecewiseLinear:
    """The LR of each step, from step 0, as straight lines: a knot where they bend, or at every step.

    >>> through([0.0, 0.5, 1.0, 1.0, 1.0]).knots
    ((0, 0.0), (2, 1.0), (4, 1.0))
    """
    last, least = len(lrs) - 1, BEND * max(lrs)
    bends = (i for i in range(1, last) if abs(lrs[i - 1] - 2 * lrs[i] + lrs[i + 1]) > least)
    lines = PiecewiseLinear(tuple((i, lrs[i]) for i in sorted({0, last, *bends})))
    near = all(math.isclose(lines(i), lr, rel_tol=SAME) for i, lr in enumerate(lrs))
    return lines if near else PiecewiseLinear(tuple(enumerate(lrs)))
