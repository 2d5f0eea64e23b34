"""The scales of a chart, and the numbers that can stand on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


ROOM = 90
"""How many letters names may have to stand side by side."""


def slant(names: Sequence[str]) -> float:
    """By how much a chart grows, in inches, for names below it that have no room side by side."""
    longest = max(map(len, names), default=0)
    return 0.04 * longest if longest * len(names) > ROOM else 0.0


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Names at x = 0, 1, 2, ..., slanted where they have no room."""
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slant(names) else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slanted)


def numbers(values: Sequence[float | None], log: bool = False) -> np.ndarray[Any, Any]:
    """Values as an array: NaN, which is a gap, for None, what is not finite, and what a logarithmic scale lacks."""
    import numpy as np

    floats = [math.nan if v is None or not math.isfinite(v) or (log and v <= 0) else float(v) for v in values]
    return np.array(floats, dtype="f8")


def fit(axes: Axes, *, log_x: bool, log_y: bool) -> None:
    """Scales with plain numbers at their ticks."""
    from matplotlib.ticker import MaxNLocator

    for axis, log in ((axes.xaxis, log_x), (axes.yaxis, log_y)):
        if log:
            logarithmic(axes, axis)
        else:
            axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter("{x:g}")


def logarithmic(axes: Axes, axis: Axis) -> None:
    """A logarithmic scale with ticks at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter

    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=16))
    axis.set_minor_formatter(NullFormatter())
