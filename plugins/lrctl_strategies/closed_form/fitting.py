"""Families of schedules fitted to a given schedule by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from lrctl.contracts.axes import Fixed, axes
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import Schedule
from lrctl.registry.registry import registry
from lrctl_strategies.closed_form.least_squares import TOLERANCE, Shape, best_fit
from lrctl_strategies.families import in_fractions
from lrctl_strategies.grids import combined


@dataclass(frozen=True, slots=True)
class Fit:
    """A family fitted to a schedule.

    Attributes:
        schedule: the family's member that is nearest.
        error: root mean square of the difference over the root mean square of the target; 0 is an exact fit, 1 is no
            better than LR 0.
        parameters: the fitted parameters, by name. Each of them makes a small error easier.
    """

    family: str
    schedule: Any
    error: float
    parameters: tuple[str, ...]


def rank(fits: Sequence[Fit]) -> list[Fit]:
    """The smallest error first; of equal ones, to `TOLERANCE`, the one with fewer parameters."""
    return sorted(fits, key=lambda fit: (round(fit.error / TOLERANCE), len(fit.parameters), fit.error))


def fit(family: str, schedule: Schedule, steps: int) -> Fit:
    """The member of a registered family that is nearest to a schedule over steps 0 to `steps` - 1."""
    import numpy as np

    target = np.array([schedule(step) for step in range(steps)])
    if not target.any():
        raise ValueError("the schedule is 0 at every step, so there is nothing to fit")
    shape = registry().get("schedule", family).target
    whole = [f.name for f in fields_of(shape) if f.type is int]
    free = {name: axis for name, axis in axes(shape).items() if name not in [*choices(shape), *whole]}
    fixed = in_fractions(shape)
    error, nearest = best_fit(
        [Shape(shape, steps, fixed | choice, free) for choice in combined(choices(shape))], target
    )
    return Fit(family, nearest, error, ("peak_lr", *choices(shape), *free))


def choices(family: Any) -> dict[str, tuple[Any, ...]]:
    """The parameters with a few values only, and these: words, and whole numbers that have a grid.

    Neither what lengths are in nor what is `Fixed` tells one fit from another.
    """
    types = {f.name: f.type for f in fields_of(family) if f.name != "lengths" and Fixed() not in f.marks}
    words = {name: get_args(kind) for name, kind in types.items() if get_origin(kind) is Literal}
    return words | {name: axis.grid for name, axis in axes(family).items() if types.get(name) is int and axis.grid}
