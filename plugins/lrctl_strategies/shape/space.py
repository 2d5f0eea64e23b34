"""What a shape search draws from: families of schedules with peak 1, and the ranges of their parameters.

A shape is a family's member with `peak_lr` 1; at a base LR it is the same member with that as its peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, get_type_hints

from lrctl.contracts.axes import Axis, axes
from lrctl.errors import UsageError, unknown
from lrctl_strategies.families import check_tunable, in_fractions, parsed
from lrctl_strategies.grids import combined
from lrctl_strategies.unit_cube import placed, scaled

Point = tuple[float, ...]

SEARCHED = "?"
"""In place of a setting's value: search it."""


@dataclass(frozen=True)
class Space:
    """A family, some of whose parameters are searched.

    Attributes:
        name: as it was asked for, such as `cosine:end=?`; with `tuned` before it where it is a reference.
        family: its class.
        fixed: values of parameters that are neither searched nor at their defaults.
        free: the parameters that are searched, with the range that each is drawn from.
        reference: nothing is drawn from it: its shapes are those on its grid, for the others to be compared with.
    """

    name: str
    family: Any
    steps: int
    fixed: dict[str, Any] = field(default_factory=dict)
    free: dict[str, Axis] = field(default_factory=dict)
    reference: bool = False

    def at(self, point: Point) -> Any | None:
        """The shape at a point of the unit cube, 0 at each range's low end and 1 at its high end; None if refused."""
        return self.allowed({name: scaled(axis, u) for (name, axis), u in zip(self.free.items(), point, strict=True)})

    def allowed(self, values: dict[str, float]) -> Any | None:
        """The shape with these values; None where the family refuses it, as with too long a warmup and decay."""
        try:
            return self.shape(values)
        except ValueError:
            return None

    def shape(self, values: dict[str, float]) -> Any:
        """The shape with these values of the searched parameters.

        A warmup of at most one step is none: all it would do is to waste the first update, with LR 0.
        """
        kept = {name: 0.0 if name == "warmup" and value * self.steps <= 1 else value for name, value in values.items()}
        return self.family(steps=self.steps, peak_lr=1.0, **self.fixed, **kept)

    def values(self, shape: Any) -> dict[str, float]:
        return {name: getattr(shape, name) for name in self.free}

    def point(self, shape: Any) -> Point:
        return tuple(placed(axis, getattr(shape, name)) for name, axis in self.free.items())

    def gridded(self) -> list[Any]:
        """The shapes on the grids that the family declares for `lrctl baseline`: all their combinations."""
        grids = {name: axis.grid for name, axis in axes(self.family).items() if axis.grid and name not in self.fixed}
        every = map(self.allowed, combined(grids))
        return list(dict.fromkeys(shape for shape in every if shape is not None))

    def swept(self, shape: Any, name: str, points: int) -> list[Any]:
        """A shape with one parameter at `points` values spread over its range, its own left out."""
        values = [scaled(self.free[name], i / (points - 1)) for i in range(points)]
        others = [self.allowed(self.values(shape) | {name: value}) for value in values]
        return list(dict.fromkeys(other for other in others if other not in (None, shape)))

    def neighbours(self, shape: Any, stride: float) -> Iterator[Any]:
        """A shape with one parameter a stride up or down, as a share of its range."""
        point = self.point(shape)
        for i, u in enumerate(point):
            for moved in (u + stride, u - stride):
                other = self.at((*point[:i], min(1.0, max(0.0, moved)), *point[i + 1 :]))
                if other not in (None, shape):
                    yield other


def space(text: str, steps: int, flag: str = "--family") -> Space:
    """The family `NAME` or `NAME:setting=value,...`, where a value of `?` means that it is searched.

    All parameters with a range are searched but those that are settled here, and variants that are not asked for.
    """
    name, _, settings = text.partition(":")
    where = f"{flag} {text}"
    family = check_tunable(name, flag)
    given = {part.partition("=")[0].strip(): part.strip() for part in settings.split(",") if part.strip()}
    for parameter, part in given.items():
        if parameter in ("steps", "peak_lr"):
            raise UsageError(f"{where}: {part}: every shape runs for --steps, and is tried at each base LR of --grid")
    asked = [parameter for parameter, part in given.items() if part.partition("=")[2].strip() == SEARCHED]
    hints = get_type_hints(family)
    ranges = {parameter: axis for parameter, axis in axes(family).items() if hints[parameter] is float}
    for parameter in asked:
        if parameter not in ranges:
            raise unknown("parameter to search", parameter, ranges, where)
    told = parsed(",".join(part for parameter, part in given.items() if parameter not in asked), family, where)
    fixed = in_fractions(family) | told
    free = {
        parameter: replace(axis, low=axis.draw[0], high=axis.draw[1]) if axis.draw else axis
        for parameter, axis in ranges.items()
        if parameter not in fixed and (not axis.variant or parameter in asked)
    }
    lengths = [parameter for parameter, axis in ranges.items() if axis.length and parameter not in fixed]
    if lengths and fixed.get("lengths") == "steps":
        raise UsageError(f"{where}: lengths are searched as fractions; with lengths=steps set {lengths[0]} too")
    made = Space(text, family, steps, fixed, free)
    try:
        made.shape({})
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    return made
