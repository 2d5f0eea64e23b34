"""Down to the end of the run through two points, on straight lines or on a smooth curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.curves import apart, lines, pchip, pchips
from lrctl_schedules.lengths import in_steps, progress
from lrctl_schedules.parameters import LengthsIn, PeakLr, Steps, Warmup, check_lengths, check_number, check_run
from lrctl_schedules.warmup import RiseIs, RiseRate, check_rise, lasting, risen

Y1 = Annotated[float, "LR at the first point, as a share of the peak", Axis(0.0, 1.0)]
D1 = Annotated[float, "place of the first point, as a share of the run after the warmup", Axis(0.0, 1.0)]
D2 = Annotated[float, "place of the second point, as a share of the run after the first", Axis(0.0, 1.0)]
DY = Annotated[float, "LR at the second point, as a share of that at the first", Axis(0.0, 1.0)]
YEnd = Annotated[
    float, "LR at the end of the run, as a share of that at the second point", Axis(0.0, 1.0, variant=True)
]


@dataclass(frozen=True, slots=True)
class TwoPointLinear:
    """A warmup, then straight lines through two points down to the end of the run.

    With T = `steps`, P = `peak_lr` and x0 the warmup as a fraction of the run:

        P risen(t)    for t in [0, x0 T), by `rise`: see `lrctl_schedules.warmup.risen`

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

    Raises:
        ValueError: a parameter is out of its range.

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    y1: Y1 = 0.5
    d1: D1 = 0.5
    d2: D2 = 0.5
    dy: DY = 0.5
    y_end: YEnd = 0.0
    rise: RiseIs = field(default="linear", kw_only=True)
    rise_rate: RiseRate = field(default=3.0, kw_only=True)
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)
        check_shares(y1=self.y1, d1=self.d1, d2=self.d2, dy=self.dy, y_end=self.y_end)
        check_rise(self.rise, self.rise_rate)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        fallen = lines(progress(step, warmup, self.steps), two_points(self.y1, self.d1, self.d2, self.dy, self.y_end))
        return self.peak_lr * risen(step, lasting(warmup), self.rise, self.rise_rate) * fallen


@dataclass(frozen=True, slots=True)
class TwoPointSpline:
    """A warmup, then a smooth curve (PCHIP) through two points down to the end of the run.

    All is as in `TwoPointLinear`, but for the curve between the points: see `lrctl_schedules.curves`. It never rises
    after the warmup. Points less than 1e-9 of the run after the warmup apart are one, with the highest of their LRs:
    d1 = 0 leaves y1 P out, d2 = 0 leaves dy y1 P out, and with d2 = 1 step T has dy y1 P. The defaults are a straight
    line.

    >>> schedule = TwoPointSpline(steps=100, peak_lr=0.5, warmup=0.2, y1=0.5, d1=0.25, d2=0.5, dy=0.5)
    >>> [round(schedule(step), 4) for step in (0, 10, 20, 30, 40, 70, 100)]
    [0.0, 0.25, 0.5, 0.3516, 0.25, 0.125, 0.0]

    Raises:
        ValueError: a parameter is out of its range.

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    steps: Steps
    peak_lr: PeakLr
    warmup: Warmup = 0.1
    y1: Y1 = 0.5
    d1: D1 = 0.5
    d2: D2 = 0.5
    dy: DY = 0.5
    y_end: YEnd = 0.0
    rise: RiseIs = field(default="linear", kw_only=True)
    rise_rate: RiseRate = field(default=3.0, kw_only=True)
    lengths: LengthsIn = "fraction"

    def __post_init__(self) -> None:
        check_run(self.steps, self.peak_lr)
        check_lengths(self.steps, self.lengths, warmup=self.warmup)
        check_shares(y1=self.y1, d1=self.d1, d2=self.d2, dy=self.dy, y_end=self.y_end)
        check_rise(self.rise, self.rise_rate)

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        knots = apart(two_points(self.y1, self.d1, self.d2, self.dy, self.y_end))
        fallen = pchip(progress(step, warmup, self.steps), knots)
        return self.peak_lr * risen(step, lasting(warmup), self.rise, self.rise_rate) * fallen

    def lrs(self, steps: Sequence[float]) -> list[float]:
        """The LR at each of these steps, with the same bits as one by one, but faster."""
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        knots = apart(two_points(self.y1, self.d1, self.d2, self.dy, self.y_end))
        each = zip(steps, pchips((progress(step, warmup, self.steps) for step in steps), knots), strict=True)
        long = lasting(warmup)
        return [self.peak_lr * risen(step, long, self.rise, self.rise_rate) * fallen for step, fallen in each]


def check_shares(**named: float) -> None:
    """Refuse what is not in [0, 1].

    Raises:
        ValueError: names the parameter.
    """
    for name, share in named.items():
        check_number(name, share, 0, 1)


def two_points(y1: float, d1: float, d2: float, dy: float, y_end: float) -> tuple[tuple[float, float], ...]:
    """The points that the fall goes through, in shares of the run after the warmup and of the peak.

    >>> two_points(0.5, 0.25, 0.5, 0.5, 0.0)
    ((0.0, 1.0), (0.25, 0.5), (0.625, 0.25), (1.0, 0.0))
    """
    y2 = dy * y1
    return (0.0, 1.0), (d1, y1), (d1 + (1 - d1) * d2, y2), (1.0, y_end * y2)
