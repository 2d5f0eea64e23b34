"""The line through the rungs, which the long run is watched by: their best scores over the logarithm of the steps.

Gains shrink from doubling to doubling, and a loss before the cooldown is higher than after it. So a long run stays
above this line; one whose loss falls below it gains by something that the rungs had not begun to use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Any

from lrctl_strategies.lookahead.scoring import SURE
from lrctl_strategies.transfer.answer import Answer
from lrctl_strategies.transfer.rungs import Rung

SMOOTHED = 19
"""The smoothed loss of a run is as noisy as a mean over about so many steps."""


@dataclass(frozen=True, slots=True)
class Line:
    """From the loss at `steps` down by `gain` with each doubling.

    Attributes:
        tolerance: how far below a loss may be: what an error of the LR costs, and the noise of a smoothed loss.
    """

    steps: int
    loss: float
    gain: float
    tolerance: float

    def left(self, step: int, loss: float) -> bool:
        """Whether a run whose smoothed loss is this after so many steps lies below the line, behind the last rung."""
        at = self.loss - self.gain * math.log2(step / self.steps) if step > self.steps else -math.inf
        return loss < at - self.tolerance

    @property
    def document(self) -> dict[str, Any]:
        """It as JSON values."""
        return asdict(self)


def through(rungs: Sequence[Rung], answer: Answer) -> Line | None:
    """The line through the last two rungs; None where there is one only, or no curvature tells what an error costs."""
    if len(rungs) < 2 or answer.cost is None:
        return None
    (short, before), (long, last) = ((rung.steps, rung.scores[rung.best]) for rung in rungs[-2:])
    noise = SURE * stdev(last.losses) / math.sqrt(SMOOTHED) if len(last.losses) > 1 else 0.0
    gain = (before.mean - last.mean) / math.log2(long / short)
    return Line(long, last.mean, gain, answer.cost + noise)
