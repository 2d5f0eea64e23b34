"""Grid search of whole runs, one parameter at a time, for several shapes side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from lrctl.contracts.axes import Fixed
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Search, SearchResult, TrainedRun, Work
from lrctl.contracts.table import Table, number
from lrctl.errors import NoValidCandidateError
from lrctl.registry.registry import registry
from lrctl_strategies.grids import rounded
from lrctl_strategies.objective import LOSSES, Objective, check_metric
from lrctl_strategies.tuning.prefixes import Ended, train_all
from lrctl_strategies.tuning.tuning import PEAK, Tuning, value_of

EXTENSIONS = 8
"""How often a grid is extended."""

Wanted = Sequence[tuple[Tuning, Sequence[tuple[str, float, Any]]]]
"""Shapes with the parameter, value and schedule of each run that is wanted of them."""


@dataclass(slots=True)
class SideBySide:
    """Shapes that are tuned together, so that their runs can share what is equal."""

    shapes: list[Tuning]
    steps: int

    def search(self, objective: Objective, refine: int) -> Search:
        """Tune each shape: parameter by parameter, then the base LR more finely. Answers with the best."""
        yield from check_metric(objective)
        for stage in range(max(len(shape.grids) for shape in self.shapes)):
            alive = [shape for shape in self.shapes if stage == 0 or shape.best]
            yield from self.tune([(s, list(s.grids)[stage]) for s in alive if stage < len(s.grids)])
        for halving in range(1, refine + 1):
            around = [(s, PEAK, neighbours(s, halving)) for s in self.shapes if s.best]
            yield from self.run(around, f"{PEAK}, refined {halving} of {refine}")
        return self.answer(objective)

    def tune(self, wanted: Sequence[tuple[Tuning, str]]) -> Work[None]:
        """Tune one parameter of each shape over its grid, extended while the best value is on its edge."""
        by_name = {name: [shape.name for shape, other in wanted if other == name] for _, name in wanted}
        title = ", ".join(f"{name} of {', '.join(shapes)}" for name, shapes in by_name.items())
        ask = [(shape, name, shape.grids[name]) for shape, name in wanted]
        for extension in range(EXTENSIONS + 1):
            yield from self.run(ask, f"{title}, extended" if extension else title)
            asked = {(shape.name, value) for shape, _, values in ask for value in values}
            further = [(shape, name, shape.beyond(name)) for shape, name in wanted]
            # A value that the family refused would be asked for again and again.
            ask = [(s, n, (value,)) for s, n, value in further if value is not None and (s.name, value) not in asked]
            if not ask:
                break
            for shape, name, (value,) in ask:
                told = "and the grid ends there" if extension == EXTENSIONS else f"so it was extended to {value:g}"
                shape.notes.append(f"{shape.name}: the best {name} is on the edge of its grid, {told}")

    def run(self, ask: Sequence[tuple[Tuning, str, Sequence[float]]], title: str) -> Work[None]:
        """Train each shape with these values of a parameter; what is known already is not trained again."""
        wanted = [(shape, shape.vary(name, values)) for shape, name, values in ask]
        known = {run.schedule: run for shape in self.shapes for _, _, run in shape.tried}
        groups = [list(dict.fromkeys(s for _, _, s in varied if s not in known)) for _, varied in wanted]
        known |= yield from train_all(groups, self.steps, title, partial(self.so_far, wanted, known))
        for shape, varied in wanted:
            shape.tried += [(name, value, known[schedule]) for name, value, schedule in varied]

    def so_far(self, wanted: Wanted, known: Mapping[Any, Ended], ended: Mapping[Any, Ended]) -> SearchResult | None:
        """The best of what has ended, while more is trained; None if nothing has ended well."""
        known, varied = {**known, **ended}, {id(shape): varied for shape, varied in wanted}
        shapes = [
            replace(
                shape, tried=[*shape.tried, *((n, v, known[s]) for n, v, s in varied.get(id(shape), ()) if s in known)]
            )
            for shape in self.shapes
        ]
        found = SideBySide([shape for shape in shapes if shape.best], self.steps)
        if not found.shapes:
            return None
        answer = found.answer(self.shapes[0].objective)
        return replace(answer, summary={}, tables=(best_of_each(answer.results),))  # what was shared is not known yet

    def answer(self, objective: Objective) -> SearchResult:
        ended = sorted(((s.loss(best), i, s, best) for i, s in enumerate(self.shapes) if (best := s.best)))
        if not ended:
            raise NoValidCandidateError(
                f"every run of {', '.join(shape.name for shape in self.shapes)} diverged; lower the LRs of --grid, "
                "and check the model and its data"
            )
        separate = len({run.key for shape in self.shapes for _, _, run in shape.tried}) * self.steps
        trained = {key: job for shape in self.shapes for key, job in shape.jobs.items()}.values()
        notes = list(dict.fromkeys(note for shape in self.shapes for note in shape.notes))
        lost = [shape.name for shape in self.shapes if not shape.best]
        notes += [f"{name}: every run diverged, so it is left out; lower the LRs of --grid" for name in lost]
        entries = tuple(shape.entry(best, self.steps) for _, _, shape, best in ended)
        sharing = {"steps": sum(job.steps for job in trained), "steps_separate": separate}
        full_runs = sum(job.spent_steps for job in trained) / self.steps
        chosen_by = objective.words
        own = {} if objective.metric in LOSSES else {chosen_by: [objective.turned(loss) for loss, *_ in ended]}
        told = (
            f"Shared prefixes: {sharing['steps']} steps instead of {sharing['steps_separate']}.",
            f"The best by {chosen_by} is handed over.",
        )
        best = ended[0][-1]
        return SearchResult(
            best.schedule,
            best.key,
            results=entries,
            chosen_by=chosen_by,
            summary={"prefix_sharing": sharing, "full_runs": full_runs},
            notes=tuple(notes),
            tables=(best_of_each(entries, told, own),),
        )


def neighbours(shape: Tuning, halving: int) -> tuple[float, ...]:
    """The base LRs beside the best one, closer the more often the grid's factor is halved."""
    assert shape.best
    grid = sorted(shape.grids[PEAK])
    if len(grid) == 1:
        return ()
    ratio = (grid[-1] / grid[0]) ** (0.5**halving / (len(grid) - 1))
    peak = value_of(shape.best.schedule, PEAK)
    return rounded(peak / ratio), rounded(peak * ratio)


NONE: Mapping[str, Sequence[float]] = MappingProxyType({})


def best_of_each(
    entries: Sequence[TrainedRun], notes: Sequence[str] = (), own: Mapping[str, Sequence[float]] = NONE
) -> Table:
    """A row for each entry; `own` are further columns, by their names."""
    columns = ("schedule", "parameters", "train loss", "validation loss", "test loss", *own, "full runs")
    rows = (
        (
            entry.name,
            " ".join(f"{name}={setting(value)}" for name, value in telling(entry.schedule)),
            *map(number, (entry.train_loss, entry.validation_loss, entry.test_loss)),
            *(number(column[i]) for column in own.values()),
            f"{entry.full_runs:.1f}",
        )
        for i, entry in enumerate(entries)
    )
    given = any(entry.given for entry in entries)
    cost = "Full runs: what its grid search took" + ", without what led to the schedule that was given" * given
    return Table("The best of each schedule", columns, tuple(rows), (f"{cost}.", *notes))


def telling(schedule: ScheduleRecord) -> Iterator[tuple[str, Any]]:
    """What tells a schedule from others of its family: its LRs and shares, and all else that is not at its default.

    Lists are left out, but for knots, which are told by their peak.
    """
    declared = fields_of(registry().get("schedule", schedule.family).target)
    defaults = {field.name: field.default for field in declared if field.default is not MISSING}
    fixed = {field.name for field in declared if Fixed() in field.marks}
    for name, value in schedule.params.items():
        if name == "knots":
            yield "peak_lr", float(max(lr for _, lr in value))
        elif (isinstance(value, float) and name not in fixed) or (
            isinstance(value, float | int | str) and value != defaults.get(name, value)
        ):
            yield name, value


def setting(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
