"""Step decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, round_if_close
from lrctl_schedules.parameters import LengthUnit, Range, Scalable


@dataclass(frozen=True, slots=True)
class StepDecay(Scalable):
    """The peak, multiplied by a factor after each period.

    With T = `steps`, P = `peak_lr`, p = `period` in steps and f = `factor`:

        P f^floor(t / p)    for t in [0, T]

    Step 0 has exactly P. A joint k p already has the lower LR P f^k; so has step T, if it is one. p is in
    [1e-9 T, T], f in [0, 1]. With p = 1 step the decay is exponential.

    >>> [StepDecay(steps=90, peak_lr=0.5, period=30, factor=0.5, lengths="steps")(step) for step in (0, 29, 30, 60, 90)]
    [0.5, 0.5, 0.25, 0.125, 0.0625]

    Source: `StepLR` of torch.
    """

    period: Annotated[
        float, "length between drops of the LR", Axis(0.05, 1.0, log=True, length=True), Range(1e-9, 1)
    ] = 1 / 3
    factor: Annotated[
        float, "what the LR is multiplied by at each drop", Axis(0.01, 1.0, log=True, grid=(0.1, 0.3, 0.5)), Range(0, 1)
    ] = 0.1
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        drops = math.floor(round_if_close(max(0.0, step) / in_steps(self.period, self.steps, self.lengths)))
        return self.peak_lr * math.pow(self.factor, drops)
