"""Grid search of whole runs, one parameter at a time, for several shapes side by side."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from lrctl.errors import NoValidCandidateError
from lrctl.job import SegmentResult
from lrctl.schedule import Axis, axes, params_of, with_peak
from lrctl.strategy import Batch, Found
from lrctl_strategies.prefixes import Ended, train_all

PEAK = "peak_lr"
EXTENSIONS = 8
"""How often a grid is extended."""

Metric = Annotated[
    Literal["validation", "train"], "the loss that choices are made by: validation, or the smoothed training loss"
]
PeakGrid = Annotated[tuple[float, ...], "base LRs; extended by its own factor while the best is on its edge"]
Refine = Annotated[int, "at the end, try base LRs around the best so often, halving the grid's factor each time"]


def check_grid(grid: Sequence[float], refine: int) -> None:
    """Refuse a grid of base LRs that nothing can be tuned with.

    Raises:
        ValueError: names the parameter.
    """
    if not grid or not all(lr > 0 for lr in grid):
        raise ValueError(f"grid: must hold LRs greater than 0, got {list(grid)}")
    if refine < 0:
        raise ValueError(f"refine: must be at least 0, got {refine}")


Work = Generator[Batch, list[SegmentResult], None]


@dataclass(slots=True)
class Tuning:
    """A shape whose parameters are searched: the runs tried so far, and what is still to be varied.

    Attributes:
        name: what the shape is called in the results.
        start: the schedule before anything is tuned.
        grids: the grid of each parameter, in the order in which they are tuned.
        tried: the parameter that was varied, its value, and the run.
        origin: JSON values to add to its entry in the results.
    """

    name: str
    family: str
    start: Any
    grids: dict[str, tuple[float, ...]]
    metric: str
    tried: list[tuple[str, float, Ended]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    origin: dict[str, Any] = field(default_factory=dict)

    def loss(self, run: Ended) -> float:
        """The loss that choices are made by."""
        return run.validation_loss if self.metric == "validation" else run.train_loss

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

    def entry(self, best: Ended) -> dict[str, Any]:
        """The shape's entry in the results."""
        return {
            "name": self.name,
            "family": self.family,
            "params": params_of(best.schedule),
            "schedule": {"family": self.family, "params": params_of(best.schedule)},
            **self.origin,
            **losses(best),
            "runs": len({run.schedule for _, _, run in self.tried}),
            "checkpoint": best.key,
            "tried": [{"parameter": name, "value": value, **losses(run)} for name, value, run in self.tried],
        }


def losses(run: Ended) -> dict[str, float]:
    """The losses of a run as the results name them."""
    return {"train_loss": run.train_loss, "validation_loss": run.validation_loss, "eval_loss": run.test_loss}


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


@dataclass(slots=True)
class SideBySide:
    """Shapes that are tuned together, so that their runs can share what is equal.

    Attributes:
        steps: of each run.
        trained: the steps of each job so far, by key.
    """

    shapes: list[Tuning]
    steps: int
    trained: dict[str, int] = field(default_factory=dict)

    def search(self, refine: int = 0) -> Work:
        """Tune each shape: parameter by parameter, then the base LR more finely."""
        for stage in range(max(len(shape.grids) for shape in self.shapes)):
            alive = [shape for shape in self.shapes if stage == 0 or shape.best]
            yield from self.tune([(s, list(s.grids)[stage]) for s in alive if stage < len(s.grids)])
        for halving in range(1, refine + 1):
            around = [(s, PEAK, neighbours(s, halving)) for s in self.shapes if s.best]
            yield from self.run(around, f"{PEAK}, refined {halving} of {refine}")

    def tune(self, wanted: Sequence[tuple[Tuning, str]]) -> Work:
        """Tune one parameter of each shape over its grid, extended while the best value is on its edge."""
        by_name = {name: [shape.name for shape, other in wanted if other == name] for _, name in wanted}
        title = ", ".join(f"{name} of {', '.join(shapes)}" for name, shapes in by_name.items())
        ask = [(shape, name, shape.grids[name]) for shape, name in wanted]
        for extension in range(EXTENSIONS + 1):
            yield from self.run(ask, f"{title}, extended" if extension else title)
            asked = {(shape.name, value) for shape, _, values in ask for value in values}
            further = [(shape, name, shape.beyond(name)) for shape, name in wanted]
            # A value that the family refused would be asked for again and again.
            ask = [
                (s, name, (value,)) for s, name, value in further if value is not None and (s.name, value) not in asked
            ]
            if not ask:
                break
            for shape, name, (value,) in ask:
                told = "and the grid ends there" if extension == EXTENSIONS else f"so it was extended to {value:g}"
                shape.notes.append(f"{shape.name}: the best {name} is on the edge of its grid, {told}")

    def run(self, ask: Sequence[tuple[Tuning, str, Sequence[float]]], title: str) -> Work:
        """Train each shape with these values of a parameter; what is known already is not trained again."""
        wanted = [(shape, shape.vary(name, values)) for shape, name, values in ask]
        known = {run.schedule: run for shape in self.shapes for _, _, run in shape.tried}
        groups = [list(dict.fromkeys(s for _, _, s in varied if s not in known)) for _, varied in wanted]
        runs, trained = yield from train_all(groups, self.steps, title)
        self.trained |= trained
        known |= runs
        for shape, varied in wanted:
            shape.tried += [(name, value, known[schedule]) for name, value, schedule in varied]

    def answer(self, metric: str) -> Found:
        """The shape that ended best, and the results of all, best first.

        Raises:
            NoValidCandidateError: no run of any shape ended with a finite loss.
        """
        ended = sorted(((s.loss(best), i, s, best) for i, s in enumerate(self.shapes) if (best := s.best)))
        if not ended:
            raise NoValidCandidateError(
                f"every run of {', '.join(shape.name for shape in self.shapes)} diverged; lower the LRs of --grid, "
                "and check the model and its data"
            )
        separate = len({run.key for shape in self.shapes for _, _, run in shape.tried}) * self.steps
        notes = [note for shape in self.shapes for note in shape.notes]
        notes += [
            f"{s.name}: every run diverged, so it is left out; lower the LRs of --grid"
            for s in self.shapes
            if not s.best
        ]
        summary = (
            ("results", [shape.entry(best) for _, _, shape, best in ended]),
            ("chosen_by", "validation loss" if metric == "validation" else "training loss"),
            ("prefix_sharing", {"steps": sum(self.trained.values()), "steps_separate": separate}),
        )
        best = ended[0][-1]
        return Found(best.schedule, best.key, summary=summary, notes=tuple(notes))


def neighbours(shape: Tuning, halving: int) -> tuple[float, ...]:
    """The base LRs beside the best one, closer the more often the grid's factor is halved."""
    assert shape.best
    grid = sorted(shape.grids[PEAK])
    if len(grid) == 1:
        return ()
    ratio = (grid[-1] / grid[0]) ** (0.5**halving / (len(grid) - 1))
    peak = value_of(shape.best.schedule, PEAK)
    return rounded(peak / ratio), rounded(peak * ratio)
