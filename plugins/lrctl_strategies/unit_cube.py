"""Parameters as points of the unit cube, 0 at the low end of each range and 1 at the high one; schedules as arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lrctl.contracts.axes import Axis
from lrctl.contracts.schedule import Schedule

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def scaled(axis: Axis, u: float) -> float:
    """The value of an axis at `u` in [0, 1].

    >>> scaled(Axis(0, 0.5), 0.5), scaled(Axis(0.01, 1.0, log=True), 1.0)
    (0.25, 1.0)
    """
    u = min(1.0, max(0.0, float(u)))
    if axis.log:
        return min(axis.high, max(axis.low, math.exp((1 - u) * math.log(axis.low) + u * math.log(axis.high))))
    return (1 - u) * axis.low + u * axis.high


def placed(axis: Axis, value: float) -> float:
    """Where in [0, 1] a value of an axis stands: the inverse of `scaled`.

    >>> placed(Axis(0, 0.5), 0.25), placed(Axis(0.01, 1.0, log=True), 1.0)
    (0.5, 1.0)
    """
    low, high, at = axis.low, axis.high, value
    if axis.log:
        low, high, at = math.log(low), math.log(high), math.log(value) if value > 0 else -math.inf
    return min(1.0, max(0.0, (at - low) / (high - low)))


def lrs_at(schedule: Schedule, at: Array) -> Array:
    """The LRs at these steps. A family that is faster at many steps at once has a method `lrs` for it."""
    import numpy as np

    steps = at.tolist()
    return np.array(schedule.lrs(steps) if hasattr(schedule, "lrs") else [schedule(step) for step in steps])
