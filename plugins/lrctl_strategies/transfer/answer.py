"""From the rungs to the long run: its peak LR, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean

from lrctl.contracts.horizon import EXPONENT, NINETY, SPREAD, carried
from lrctl.contracts.strategy import RunSpec
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.grids import rounded
from lrctl_strategies.lookahead.short_runs import HELD
from lrctl_strategies.transfer.rungs import Rung

WIDER = 0.3
"""The standard deviation of the exponent with another optimizer than it was measured with."""

MEASURED = (None, "adamw")
"""The optimizers that it was measured with; None where the workload brings its own, or may."""

POSSIBLE = (-1.5, 0.7)
"""Exponents from one rung to the next outside of these say that the rungs are no guide."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The best peak LR of the long run, had it the shape of the rungs.

    Attributes:
        low, high: an interval that holds the best LR in 90 of 100 cases.
        cost: what being off by as much as the interval allows costs at the most, in units of the loss; None if unknown.
        exponent: of the power of the steps by which it was reached.
    """

    peak: float
    low: float
    high: float
    cost: float | None
    exponent: float = EXPONENT

    def times(self, ratio: float, most: float | None) -> Answer:
        """The same for a shape whose best peak is larger by a ratio, with a peak of so much at the most."""
        peak, low, high = (rounded(lr * ratio) for lr in (self.peak, self.low, self.high))
        return replace(self, peak=min(peak, most or math.inf), low=low, high=high)


def answer(rungs: Sequence[Rung], run: RunSpec) -> Answer:
    last = rungs[-1]
    if last.failed is not None:
        return Answer(HELD * last.vertex, last.vertex / 2, last.vertex, None, 0.0)
    further = fmean(math.log(run.steps / rung.steps) for rung in rungs)
    middle = fmean(projected(rung, run.steps) for rung in rungs)
    noise = math.sqrt(sum(rung.sd**2 for rung in rungs)) / len(rungs)
    off = NINETY * math.hypot(spread(run) * further, noise)
    cost = 2 * last.curvature * off**2 if last.curvature else None
    return Answer(math.exp(middle), math.exp(middle - off), math.exp(middle + off), cost)


def projected(rung: Rung, steps: int) -> float:
    """The logarithm of the best LR for so many steps, by one rung."""
    return math.log(carried(rung.vertex, rung.steps, steps, EXPONENT))


def spread(run: RunSpec) -> float:
    return SPREAD if run.optimizer in MEASURED else WIDER


def exponents(rungs: Sequence[Rung]) -> list[float | None]:
    """The exponent from each rung to the next; None where one of the two tells no LR."""
    return [
        None
        if below.alike or above.alike
        else math.log(above.vertex / below.vertex) / math.log(above.steps / below.steps)
        for below, above in pairwise(rungs)
    ]


def check_exponents(rungs: Sequence[Rung]) -> None:
    low, high = POSSIBLE
    for (below, above), exponent in zip(pairwise(rungs), exponents(rungs), strict=True):
        if exponent is not None and not low <= exponent <= high:
            raise NoValidCandidateError(
                f"the best LR is {below.vertex:.3g} for {below.steps} steps and {above.vertex:.3g} for {above.steps}, "
                f"an exponent of {exponent:.2g}, and {low} to {high} is possible, so short runs do not tell that of a "
                "long one; use lrctl lookahead"
            )
