"""Grids of LRs and of other parameters: those that are given, and how they go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from lrctl.contracts.axes import Axis

GEOMETRIC = (1e-1, 3.33e-2, 1e-2, 3.33e-3, 1e-3, 3.33e-4, 1e-4, 3.33e-5, 1e-5)
"""The absolute LRs tried where there is no LR to start from (paper, section 3.2.1)."""

FINEST = 10
"""How often a grid can be refined: by then its factor is a thousandth."""

Metric = Annotated[
    Literal["validation", "train"], "the loss that choices are made by: validation, or the smoothed training loss"
]
PeakGrid = Annotated[tuple[float, ...], "base LRs; extended by its own factor while the best is on its edge"]
Refine = Annotated[int, "at the end, try base LRs around the best so often, halving the grid's factor each time"]


def check_grid(grid: Sequence[float], refine: int) -> None:
    """Refuse a grid of base LRs that nothing can be tuned with."""
    if not grid or not all(lr > 0 for lr in grid):
        raise ValueError(f"grid: must hold LRs greater than 0, got {list(grid)}")
    if not 0 <= refine <= FINEST:
        raise ValueError(f"refine: must be from 0 to {FINEST}, got {refine}")


def extended(values: Sequence[float], axis: Axis, *, up: bool) -> float:
    """The value that goes on with an ascending grid beyond one of its ends, as its last two values do.

    >>> extended([0.01, 0.0333, 0.1], Axis(0, 1, log=True), up=True), extended([0.0, 0.25, 0.5], Axis(0, 1), up=True)
    (0.3, 0.75)
    """
    before, last = values[-2:] if up else (values[1], values[0])
    value = last * last / before if axis.log and before else last + (last - before)
    return min(axis.high, max(axis.low, rounded(value)))


def rounded(value: float) -> float:
    """A value to three significant digits, as people write a grid."""
    return float(f"{value:.3g}")
