"""The member of a family that is nearest to a schedule.

For given shape parameters the best base LR has a closed form: with target y and shape s of peak 1, <y, s> / <s, s>.
The shape parameters are found by bounded optimisation from several starts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrctl.contracts.axes import Axis
from lrctl_strategies.unit_cube import lrs_at, scaled

if TYPE_CHECKING:
    from lrctl_strategies.unit_cube import Array

    Coordinates = Sequence[float] | Array

STARTS = 64
"""Points of the parameters' range that are looked at first."""

POLISHED = 3
"""How many of them, the best, are optimised from; and how many of the ends of that once more, with all steps."""

COARSE, FINE = 100, 1000
"""Steps, evenly spread, that a longer schedule is looked at on at first, and at last."""

TOLERANCE = 1e-6
"""Errors that differ by less count as equal."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A family with some parameters fixed and others free, as a function of a point in the unit cube."""

    family: Any
    steps: int
    fixed: dict[str, Any]
    free: dict[str, Axis]

    def at(self, point: Coordinates, peak_lr: float = 1.0) -> Any:
        """The family's member at a point: each coordinate goes from 0 at its axis's `low` to 1 at its `high`."""
        values = {name: scaled(axis, u) for (name, axis), u in zip(self.free.items(), point, strict=True)}
        return self.family(steps=self.steps, peak_lr=peak_lr, **self.fixed, **values)

    def residual(self, point: Coordinates, at: Array, target: Array) -> Array:
        """Target minus the shape at its best base LR; the target itself where the family refuses the point."""
        try:
            shape = lrs_at(self.at(point), at)
        except (ValueError, ArithmeticError):
            return target
        base = base_lr(target, shape)
        return target - base * shape if math.isfinite(base) else target

    def error(self, point: Coordinates, at: Array, target: Array) -> float:
        """The root mean square of the residual over that of the target."""
        import numpy as np

        return float(np.linalg.norm(self.residual(point, at, target[at])) / np.linalg.norm(target[at]))


def base_lr(target: Array, shape: Array) -> float:
    """The base LR with the least squared error, <target, shape> / <shape, shape>; 0 for a shape that is 0."""
    square = float(shape @ shape)
    return float(target @ shape) / square if square else 0.0


def best_fit(shapes: Sequence[Shape], target: Array) -> tuple[float, Any]:
    import numpy as np

    coarse, fine = (np.unique(np.linspace(0, len(target) - 1, n).round().astype(int)) for n in (COARSE, FINE))
    ends = [Reached(shape, point, shape.error(point, coarse, target)) for shape in shapes for point in starts(shape)]
    if shapes[0].free:
        ends = [reach(s, coarse, target) for shape in shapes for s in best([e for e in ends if e.shape is shape])]
        ends = [snapped(reach(start, fine, target), fine, target) for start in best(ends)]
    (end,) = best(ends, 1)
    every = np.arange(len(target))
    base = base_lr(target, lrs_at(end.shape.at(end.point), every))
    return end.shape.error(end.point, every, target), end.shape.at(end.point, base)


@dataclass(frozen=True, slots=True)
class Reached:
    shape: Shape
    point: Coordinates
    error: float


def best(reached: Sequence[Reached], count: int = POLISHED) -> list[Reached]:
    return sorted(reached, key=lambda each: each.error)[:count]


def reach(start: Reached, at: Array, target: Array) -> Reached:
    """Where optimisation leads from a point: first downhill, since some shapes jump, then by least squares."""
    import numpy as np
    from scipy.optimize import least_squares, minimize

    shape, cube, corner = start.shape, [(0, 1)] * len(start.shape.free), np.asarray(start.point)
    simplex = [corner, *(corner + step for step in 0.1 * np.eye(len(cube)) * np.where(corner < 0.5, 1, -1))]
    downhill = minimize(
        lambda point: shape.error(point, at, target),
        start.point,
        method="Nelder-Mead",
        bounds=cube,
        options={"initial_simplex": simplex, "maxfev": 40 * len(cube), "xatol": 1e-3, "fatol": 1e-6},
    )
    norm = float(np.linalg.norm(target[at]))
    squares = least_squares(
        lambda point: shape.residual(point, at, target[at]) / norm,
        np.clip(downhill.x, 1e-6, 1 - 1e-6),
        bounds=(0, 1),
        xtol=1e-12,
        max_nfev=50,
    )
    ends = [Reached(shape, point, shape.error(point, at, target)) for point in (start.point, downhill.x, squares.x)]
    return best(ends, 1)[0]


def snapped(end: Reached, at: Array, target: Array) -> Reached:
    """A point with short coordinates, and with the exact ends of the range, wherever that does no harm."""
    for index, u in enumerate(end.point):
        for short in (0.0, 1.0, round(float(u), 6)):
            point = [*end.point[:index], short, *end.point[index + 1 :]]
            error = end.shape.error(point, at, target)
            if error <= end.error + TOLERANCE:
                end = Reached(end.shape, point, error)
                break
    return end


def starts(shape: Shape) -> Iterator[Coordinates]:
    """Points of the unit cube, evenly spread, the same ones each time."""
    from scipy.stats import qmc

    if not shape.free:
        yield ()
        return
    yield from qmc.Halton(len(shape.free), scramble=False).random(STARTS)
