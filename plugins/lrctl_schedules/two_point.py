"""Down to the end of the run through two points, on straight lines or on a smooth curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.curves import merge_close_points, pchip, pchips, piecewise_linear
from lrctl_schedules.formulas import effective_warmup, in_steps, progress, warmup_factor
from lrctl_schedules.parameters import LengthUnit, WithWarmupShape


@dataclass(frozen=True, slots=True)
class TwoPoint(WithWarmupShape):
    y1: Annotated[float, "LR at the first point, as a share of the peak", Axis(0.0, 1.0)] = 0.5
    d1: Annotated[float, "place of the first point, as a share of the run after the warmup", Axis(0.0, 1.0)] = 0.5
    d2: Annotated[float, "place of the second point, as a share of the run after the first", Axis(0.0, 1.0)] = 0.5
    dy: Annotated[float, "LR at the second point, as a share of that at the first", Axis(0.0, 1.0)] = 0.5
    y_end: Annotated[
        float, "LR at the end of the run, as a share of that at the second point", Axis(0.0, 1.0, variant=True)
    ] = 0.0
    lengths: LengthUnit = "fraction"


@dataclass(frozen=True, slots=True)
class TwoPointLinear(TwoPoint):
    """A warmup, then straight lines through two points down to the end of the run.

    With T = `steps`, P = `peak_lr` and x0 the warmup as a fraction of the run:

        P r(t)    for t in [0, x0 T), with r by `rise`: see `lrctl_schedules.formulas.warmup_factor`

    and from there on straight lines through the points (x T, y P) with

        (x0, 1), (x1, y1), (x2, dy y1), (1, y_end dy y1)    x1 = x0 + d1 (1 - x0), x2 = x1 + d2 (1 - x1)

    Step 0 has LR 0, or P where the warmup is at most one step: all that would do is to waste the first update. The end
    of the warmup has exactly P; the LR never rises after it. Points that share a place (d1 = 0, d2 = 0, d1 = 1, d2 = 1)
    make a jump: at the place itself the first and highest of them holds, right after it the last. So d1 = 0 is a jump
    from P to y1 P right after the warmup, and with d2 = 1 step T has dy y1 P. If the whole run is warmup, step T has P.
    The warmup is in [0, T], all else in [0, 1]. The defaults are a straight line.

    >>> schedule = TwoPointLinear(steps=100, peak_lr=0.5, warmup=0.2, y1=0.5, d1=0.25, d2=0.5, dy=0.5)
    >>> [schedule(step) for step in (0, 10, 20, 30, 40, 70, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.25, 0.125, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        points = two_points(self.y1, self.d1, self.d2, self.dy, self.y_end)
        decay = piecewise_linear(progress(step, warmup, self.steps), points)
        return self.peak_lr * warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate) * decay


@dataclass(frozen=True, slots=True)
class TwoPointSpline(TwoPoint):
    """A warmup, then a smooth curve (PCHIP) through two points down to the end of the run.

    All is as in `TwoPointLinear`, but for the curve between the points: see `lrctl_schedules.curves`. It never rises
    after the warmup. Points less than 1e-9 of the run after the warmup apart are one, with the highest of their LRs:
    d1 = 0 leaves y1 P out, d2 = 0 leaves dy y1 P out, and with d2 = 1 step T has dy y1 P. The defaults are a straight
    line.

    >>> schedule = TwoPointSpline(steps=100, peak_lr=0.5, warmup=0.2, y1=0.5, d1=0.25, d2=0.5, dy=0.5)
    >>> [round(schedule(step), 4) for step in (0, 10, 20, 30, 40, 70, 100)]
    [0.0, 0.25, 0.5, 0.3516, 0.25, 0.125, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        knots = merge_close_points(two_points(self.y1, self.d1, self.d2, self.dy, self.y_end))
        decay = pchip(progress(step, warmup, self.steps), knots)
        return self.peak_lr * warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate) * decay

    def lrs(self, steps: Sequence[float]) -> list[float]:
        """The LR at each of these steps, with the same bits as one by one, but faster."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        knots = merge_close_points(two_points(self.y1, self.d1, self.d2, self.dy, self.y_end))
        decays = pchips((progress(step, warmup, self.steps) for step in steps), knots)
        effective = effective_warmup(warmup)
        factors = (warmup_factor(step, effective, self.rise, self.rise_rate) for step in steps)
        return [self.peak_lr * factor * decay for factor, decay in zip(factors, decays, strict=True)]


def two_points(y1: float, d1: float, d2: float, dy: float, y_end: float) -> tuple[tuple[float, float], ...]:
    """The points that the fall goes through, in shares of the run after the warmup and of the peak.

    >>> two_points(0.5, 0.25, 0.5, 0.5, 0.0)
    ((0.0, 1.0), (0.25, 0.5), (0.625, 0.25), (1.0, 0.0))
    """
    y2 = dy * y1
    return (0.0, 1.0), (d1, y1), (d1 + (1 - d1) * d2, y2), (1.0, y_end * y2)
