"""Grids of LRs and of other parameters: those that are given, and how they go on."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from lrctl.contracts.axes import Axis
from lrctl.contracts.schedule import LRS, is_lr

GEOMETRIC = (1e-1, 3.33e-2, 1e-2, 3.33e-3, 1e-3, 3.33e-4, 1e-4, 3.33e-5, 1e-5)
"""The absolute LRs tried where there is no LR to start from (paper, section 3.2.1)."""

FINEST = 10
"""How often a grid can be refined: by then its factor is a thousandth."""

Metric = Annotated[
    Literal["validation", "train"], "the loss that choices are made by: validation, or the smoothed training loss"
]
PeakGrid = Annotated[tuple[float, ...], "base LRs; extended by its own factor while the best is on its edge"]
Refine = Annotated[int, "at the end, try base LRs around the best so often, halving the grid's factor each time"]


def check_least(params: Any, **least: int) -> None:
    """Refuse parameters that are below the least that is given for each by name."""
    for name, bound in least.items():
        if getattr(params, name) < bound:
            raise ValueError(f"{name}: must be at least {bound}, got {getattr(params, name)}")


def check_grid(grid: Sequence[float], refine: int = 0, max_lr: float | None = None) -> None:
    if not grid or not all(map(is_lr, grid)):
        raise ValueError(f"grid: must hold LRs {LRS}, got {list(grid)}")
    if max_lr is not None and not min(grid) <= max_lr:
        raise ValueError(f"max_lr: no LR of the grid is at most {max_lr:g}; raise it above {min(grid):g}")
    if max_lr is not None and not is_lr(max_lr):
        raise ValueError(f"max_lr: must be an LR {LRS}, got {max_lr:g}")
    if not 0 <= refine <= FINEST:
        raise ValueError(f"refine: must be from 0 to {FINEST}, got {refine}")
    if refine and len(set(grid)) == 1:
        raise ValueError(
            f"refine: a grid of one LR has no factor to halve; give grid another beside {grid[0]:g}, or leave it out"
        )


def extended(values: Sequence[float], axis: Axis, *, up: bool) -> float:
    """The value that goes on with an ascending grid beyond one of its ends, as its last two values do.

    >>> extended([0.01, 0.0333, 0.1], Axis(0, 1, log=True), up=True), extended([0.0, 0.25, 0.5], Axis(0, 1), up=True)
    (0.3, 0.75)
    """
    before, last = values[-2:] if up else (values[1], values[0])
    value = last * last / before if axis.log and before else last + (last - before)
    return min(axis.high, max(axis.low, rounded(value)))


def combined(values: Mapping[str, Collection[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of some parameters."""
    return (dict(zip(values, each, strict=True)) for each in itertools.product(*values.values()))


def rounded(value: float) -> float:
    """A value to three significant digits, as people write a grid."""
    return float(f"{value:.3g}")
