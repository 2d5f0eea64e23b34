"""A smooth curve that may go up and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.curves import Point, merge_close_points, pchip, pchips
from lrctl_schedules.formulas import in_steps
from lrctl_schedules.parameters import Scalable


@dataclass(frozen=True, slots=True)
class SmoothNonMonotonic(Scalable):
    """A smooth curve (PCHIP) through five points, one of them the peak; there is no warmup.

    With T = `steps` and P = `peak_lr` the points (x T, y P) are, by their x,

        (0, y_start), (d1, y1), (d1 + (1 - d1) d2, y2), (x_peak, 1), (1, y_end)

    and between them the curve of `lrctl_schedules.curves.pchip`, which rises only from one point to a higher one.
    Step 0 has y_start P, step x_peak T exactly P, step T exactly y_end P. Points less than 1e-9 of the run apart are
    one, with the highest of their LRs: the peak always counts, so that x_peak = 0 has P at step 0 and x_peak = 1 at
    step T. The LR is 0 only where a point is at 0. All parameters are in [0, 1].

    >>> schedule = SmoothNonMonotonic(100, 0.5, y_start=0.5, d1=0.1, y1=0.75, d2=0.5, y2=0.5, x_peak=0.25, y_end=0.125)
    >>> [round(schedule(step), 4) for step in (0, 10, 25, 55, 80, 100)]
    [0.25, 0.375, 0.5, 0.25, 0.1229, 0.0625]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    y_start: Annotated[float, "LR at step 0, as a share of the peak", Axis(0.0, 1.0)] = 0.1
    d1: Annotated[float, "place of the first point, as a share of the run", Axis(0.0, 1.0)] = 0.1
    y1: Annotated[float, "LR at the first point, as a share of the peak", Axis(0.0, 1.0)] = 0.6
    d2: Annotated[float, "place of the second point, as a share of the run after the first", Axis(0.0, 1.0)] = 0.5
    y2: Annotated[float, "LR at the second point, as a share of the peak", Axis(0.0, 1.0)] = 0.6
    x_peak: Annotated[float, "place of the peak, as a share of the run", Axis(0.0, 1.0)] = 0.25
    y_end: Annotated[float, "LR at the end of the run, as a share of the peak", Axis(0.0, 1.0)] = 0.0

    def __call__(self, step: float) -> float:
        points = five_points(self.steps, self.y_start, self.d1, self.y1, self.d2, self.y2, self.x_peak, self.y_end)
        return self.peak_lr * pchip(step / self.steps, points)

    def lrs(self, steps: Sequence[float]) -> list[float]:
        """The LR at each of these steps, with the same bits as one by one, but faster."""
        points = five_points(self.steps, self.y_start, self.d1, self.y1, self.d2, self.y2, self.x_peak, self.y_end)
        return [self.peak_lr * y for y in pchips((step / self.steps for step in steps), points)]


def five_points(
    steps: int, y_start: float, d1: float, y1: float, d2: float, y2: float, x_peak: float, y_end: float
) -> list[Point]:
    """The points that the curve goes through, in shares of the run and of the peak, by their place."""
    # In steps and back: the place of the peak is then the very number that its step divides to.
    peak = (in_steps(x_peak, steps, "fraction") / steps, 1.0)
    return merge_close_points(sorted([(0.0, y_start), (d1, y1), (d1 + (1 - d1) * d2, y2), peak, (1.0, y_end)]))
