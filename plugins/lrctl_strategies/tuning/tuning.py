"""A shape whose parameters are searched on grids: what was tried, what is best, what to try next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lrctl.contracts.axes import Axis, axes, with_peak
from lrctl.contracts.result import JobResult, beside_loss
from lrctl.contracts.schedule import ScheduleRecord, params_of
from lrctl.contracts.strategy import TrainedRun
from lrctl.errors import UsageError, unknown
from lrctl_strategies.families import check_tunable, in_fractions
from lrctl_strategies.grids import extended
from lrctl_strategies.objective import Objective
from lrctl_strategies.tuning.prefixes import Ended

PEAK = "peak_lr"


@dataclass(slots=True)
class Tuning:
    """A shape whose parameters are searched: the runs tried so far, and what is still to be varied.

    Attributes:
        name: what the shape is called in the results.
        start: the schedule before anything is tuned.
        grids: the grid of each parameter, in the order in which they are tuned.
        tried: the parameter that was varied, its value, and the run.
        origin: JSON values to add to its entry in the results.
        given: it is the schedule that the search was given to work on.
    """

    name: str
    family: str
    start: Any
    grids: dict[str, tuple[float, ...]]
    objective: Objective
    tried: list[tuple[str, float, Ended]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)
    given: bool = False

    def loss(self, run: Ended) -> float:
        """What the run is chosen by: less is better, and +inf is a run that diverged."""
        losses = {"validation": run.validation_loss, "train": run.train_loss}
        name = self.objective.metric
        return losses[name] if name in losses else self.objective.value(run.metrics) if run.sound else math.inf

    @property
    def best(self) -> Ended | None:
        """The run with the lowest loss so far, the first one of equals; None if none ended well."""
        good = [run for _, _, run in self.tried if math.isfinite(self.loss(run))]
        return min(good, key=self.loss, default=None)

    def vary(self, name: str, values: Sequence[float]) -> list[tuple[str, float, Any]]:
        """The best schedule so far with other values of one parameter, where the shape allows them."""
        schedule, wanted = self.best.schedule if self.best else self.start, []
        for value in values:
            try:
                varied = replaced(schedule, name, value)
            except ValueError as error:
                self.notes.append(f"{self.name}: {name} {value:g} was left out: {error}")
            else:
                wanted.append((name, value, varied))
        return wanted

    def beyond(self, name: str) -> float | None:
        """The next value beyond the edge of the grid that the best run is on; None if it is on none.

        A grid of one value has no edges: it is that value.
        """
        if self.best is None:
            return None
        at = {value: run for parameter, value, run in self.tried if parameter == name}
        values = sorted(set(at) | {value_of(self.best.schedule, name)})
        best = next((value for value in values if at.get(value) == self.best), None)
        axis = Axis(0.0, math.inf, log=True) if name == PEAK else axes(type(self.start)).get(name)
        if best is None or axis is None or len(values) == 1 or best not in (values[0], values[-1]):
            return None
        value = extended(values, axis, up=best == values[-1])
        if value in values and value:
            self.notes.append(f"{self.name}: the best {name}, {value:g}, is at the end of its range")
        return None if value in values else value

    @property
    def jobs(self) -> dict[str, JobResult]:
        """The jobs of all that was tried, by their keys: what runs share is one of them."""
        return {job.key: job for _, _, run in self.tried for job in run.jobs}

    def entry(self, best: Ended, steps: int) -> TrainedRun:
        """Its best run among the results, with what all of its runs took, in runs of so many steps."""
        losses = ("train_loss", "validation_loss", "test_loss")
        tried = [
            {"parameter": name, "value": value, **{loss: getattr(run, loss) for loss in losses}}
            for name, value, run in self.tried
        ]
        return TrainedRun(
            self.name,
            ScheduleRecord(self.family, params_of(best.schedule)),
            best.key,
            best.train_loss,
            best.validation_loss,
            best.test_loss,
            full_runs=sum(job.spent_steps for job in self.jobs.values()) / steps,
            given=self.given,
            details={**self.origin, "tried": tried},
            metrics=beside_loss(best.metrics),
        )


def replaced(schedule: Any, name: str, value: float) -> Any:
    """A schedule with another value of a parameter, as a whole number where the parameter is one."""
    if value == value_of(schedule, name):
        return schedule
    if name == PEAK:
        return with_peak(schedule, value)
    whole = isinstance(getattr(schedule, name), int) and float(value).is_integer()
    return replace(schedule, **{name: int(value) if whole else value})


def value_of(schedule: Any, name: str) -> float:
    """The value of a schedule's parameter; the peak of a piecewise-linear one is its largest LR."""
    value: float = getattr(schedule, name) if hasattr(schedule, name) else max(lr for _, lr in schedule.knots)
    return value


def start(
    family: str,
    steps: int,
    grid: Sequence[float],
    chosen_by: Objective,
    axis: Sequence[str] = (),
    flag: str = "--family",
) -> Tuning:
    """A family, which `flag` named, before its first run; `axis` holds grids of the user's own."""
    target = check_tunable(family, flag)
    own = own_grids(family, axis)
    grids = {PEAK: tuple(sorted(set(grid)))} | {name: each.grid for name, each in axes(target).items() if each.grid}
    first = target(steps=steps, peak_lr=max(grid), **in_fractions(target))
    return Tuning(family, family, first, grids | {name: own[name] for name in own if name in axes(target)}, chosen_by)


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
