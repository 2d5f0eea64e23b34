"""A family before its first run, with its own grids and those of the user."""

from __future__ import annotations

from collections.abc import Sequence

from lrctl.contracts.axes import axes
from lrctl.errors import UsageError, unknown
from lrctl_strategies.families import check_tunable, in_fractions
from lrctl_strategies.tuning.tuning import PEAK, Tuning


def start(
    family: str, steps: int, grid: Sequence[float], metric: str, axis: Sequence[str] = (), flag: str = "--family"
) -> Tuning:
    """A family, which `flag` named, before its first run; `axis` holds grids of the user's own."""
    target = check_tunable(family, flag)
    own = own_grids(family, axis)
    grids = {PEAK: tuple(sorted(set(grid)))} | {name: each.grid for name, each in axes(target).items() if each.grid}
    first = target(steps=steps, peak_lr=max(grid), **in_fractions(target))
    return Tuning(family, family, first, grids | {name: own[name] for name in own if name in axes(target)}, metric)


def own_grids(family: str, axis: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The grids of the user's own for a family: one that names the family counts more than one for all."""
    grids: dict[tuple[str, str], tuple[float, ...]] = {}
    for owner, name, values in map(own_grid, axis):
        if owner in ("", family):
            grids[owner, name] = tuple(sorted({*grids.get((owner, name), ()), *values}))
    return {name: grids[owner, name] for owner, name in sorted(grids)}


def check_own_grids(axis: Sequence[str], shapes: Sequence[Tuning]) -> None:
    """Refuse a grid for a parameter that no family has, or with values out of its range."""
    for text in axis:
        family, name, values = own_grid(text)
        meant = [axes(type(shape.start)) for shape in shapes if family in ("", shape.family)]
        if not meant:
            raise unknown("family", family, (shape.family for shape in shapes), f"--axis {text}")
        ranges = [known[name] for known in meant if name in known]
        if not ranges:
            raise unknown("parameter", name, {each for known in meant for each in known}, f"--axis {text}")
        low, high = min(each.low for each in ranges), max(each.high for each in ranges)
        if not all(low <= value <= high for value in values):
            unit = ", a fraction of the run" if ranges[0].length else ""
            raise UsageError(f"--axis {text}: {name} must be from {low:g} to {high:g}{unit}")


def own_grid(text: str) -> tuple[str, str, tuple[float, ...]]:
    """The family (or an empty string), parameter and values of `--axis`.

    >>> own_grid("wsd.warmup=0,0.1")
    ('wsd', 'warmup', (0.0, 0.1))
    """
    name, equals, values = text.partition("=")
    family, _, parameter = name.strip().rpartition(".")
    try:
        grid = tuple(sorted(float(value) for value in values.split(",") if value.strip()))
    except ValueError:
        grid = ()
    if not (equals and parameter and grid):
        raise ValueError(f"axis: must be a parameter and numbers for it, such as warmup=0,0.1,0.2, got {text!r}")
    return family, parameter, grid
