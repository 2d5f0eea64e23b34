"""Families that go up again: cosine with warm restarts, and cyclical LRs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import half_cosine, in_steps, linear_warmup, progress, round_if_close, with_floor
from lrctl_schedules.parameters import LengthUnit, Range, Scalable, WithWarmup

Cycles = Annotated[int, "cycles in the run; whole, not fitted continuously", Axis(1, 10, grid=(1, 2, 4, 8))]


@dataclass(frozen=True, slots=True)
class CosineWithRestarts(WithWarmup):
    """A linear warmup, then half cosines from the peak down, one after another.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, n = `cycles`, m = `growth` and e = `end`, the run after the
    warmup is cut into n cycles, each m times as long as the one before. At v in [0, 1) of a cycle, with
    c = (1 + cos(pi v)) / 2:

        P t / w              for t in [0, w]
        P ((1 - c) e + c)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; every cycle starts at exactly P, so the LR jumps from e P to P at a restart;
    step T has exactly e P, or P if the whole run is warmup. w is in [0, T], n a whole number in [1, 100], m in [1, 10],
    e in [0, 1].

    >>> sgdr = CosineWithRestarts(steps=70, peak_lr=0.5, warmup=0.0, cycles=3, growth=2.0)
    >>> [round(sgdr(step), 15) for step in (0, 5, 10, 20, 30, 50, 70)]
    [0.5, 0.25, 0.5, 0.25, 0.5, 0.25, 0.0]

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5; m is its T_mult.
    """

    cycles: Annotated[Cycles, Range(1, 100)] = 4
    growth: Annotated[float, "what a cycle's length is multiplied by after it", Axis(1.0, 3.0), Range(1, 10)] = 1.0
    end: Annotated[float, "LR at the end of each cycle, as a share of the peak", Axis(0.0, 1.0)] = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        v = within_cycle(step, warmup, self.steps, self.cycles, self.growth)
        return self.peak_lr * linear_warmup(step, warmup) * with_floor(half_cosine(v), self.end)


def within_cycle(step: float, start: float, stop: float, cycles: int, growth: float) -> float:
    """How far `step` is within its cycle, where [start, stop] is cut into cycles that grow: 0 at each restart.

    >>> [within_cycle(step, 0, 70, 3, 2.0) for step in (0, 5, 10, 20, 30, 50, 70)]
    [0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 1.0]
    """
    if step <= start or step >= stop:
        return progress(step, start, stop)
    length = 1.0
    place = round_if_close((step - start) * sum(growth**i for i in range(cycles)) / (stop - start))
    for _ in range(cycles - 1):
        if place < length:
            break
        place -= length
        length *= growth
    return min(1.0, place / length)


@dataclass(frozen=True, slots=True)
class Cyclical(Scalable):
    """Straight up to the peak and straight down again, several times.

    With T = `steps`, P = `peak_lr`, n = `cycles`, b = `base`, r = `rise` and f = `factor`, at v in [0, 1) of cycle
    i = 0, ..., n - 1, each of them T / n long:

        h = f^i v / r                for v in [0, r]
        h = f^i (1 - v) / (1 - r)    for v in [r, 1]
        P ((1 - h) b + h)

    The tip of the first cycle has exactly P. Step 0 and the joints have exactly b P, or the tip of the cycle that
    begins there if r = 0; step T has exactly b P, or the tip of the last cycle if r = 1. f = 1 is `triangular`,
    f = 1/2 is `triangular2`. n is a whole number of at least 1, b, r and f are in [0, 1].

    >>> [Cyclical(steps=100, peak_lr=0.5, cycles=2, base=0.5)(step) for step in (0, 25, 50, 75, 100)]
    [0.25, 0.5, 0.25, 0.5, 0.25]

    Source: Smith 2017 (Cyclical Learning Rates), section 3.
    """

    cycles: Annotated[Cycles, Range(1)] = 4
    base: Annotated[float, "LR between the cycles, as a share of the peak", Axis(0.0, 1.0)] = 0.25
    rise: Annotated[float, "share of a cycle in which the LR rises", Axis(0.0, 1.0)] = 0.5
    factor: Annotated[
        float, "what a cycle's height is multiplied by after it", Axis(0.1, 1.0, grid=(0.5, 1.0)), Range(0, 1)
    ] = 1.0

    def __call__(self, step: float) -> float:
        place = round_if_close(min(max(0.0, step), self.steps) * self.cycles / self.steps)
        cycle = min(math.floor(place), self.cycles - 1)
        v = place - cycle
        height = math.pow(self.factor, cycle) * linear_warmup(v, self.rise) * (1 - progress(v, self.rise, 1))
        return self.peak_lr * with_floor(height, self.base)
