"""A paper's experiments, run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import GivenSchedule
from lrctl.engine import run
from lrctl.engine.executors import Executors
from lrctl.errors import LrctlError, MissingError, NoValidCandidateError, UsageError
from lrctl.papers.experiments import Cell, Experiment, Scale, every_experiment, recipe_of
from lrctl.recipe.schema import Recipe
from lrctl.registry.registry import registry
from lrctl.registry.schedules import rebuilt, schedule_text
from lrctl.storage.run_result import RunResult


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A cell that was run: the result of its run, or why there is none."""

    cell: Cell
    result: RunResult | None
    failure: str = ""

    def column(self, name: str, path: str) -> Any:
        """Our number of a column, whose `path` is that of the experiment unless the cell has its own."""
        return self.at(self.cell.columns.get(name, path))

    def at(self, path: str) -> Any:
        """What stands at `path` in the result document, such as `rows.0.delta`; None if nothing does."""
        value: Any = self.result and self.result.to_json()
        for part in path.split("."):
            try:
                value = value[int(part)] if isinstance(value, list | tuple) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                return None
        return value


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How a paper's experiments are run: at which scale, in which store, with which recipe keys of the user's own.

    `executors` and `check` are those of `lrctl.engine.run.search`.
    """

    scale: Scale
    store: str | Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    executors: Executors = field(default_factory=Executors)
    check: Callable[[str, Recipe], None] | None = None

    def run(self, experiment: Experiment) -> list[Reproduced]:
        """Run every cell of an experiment; what is in the store is not run again. A cell that fails says so."""
        for cell in experiment.cells:
            if not cell.given:  # a mistake should show before the first run
                self._plain(experiment, cell).params(cell.command)
        return [self._reproduced(experiment, cell) for cell in experiment.cells]

    def _reproduced(self, experiment: Experiment, cell: Cell) -> Reproduced:
        try:
            recipe = self._given(experiment, cell) if cell.given else self._plain(experiment, cell)
            return Reproduced(cell, self._search(cell.command, recipe))
        except MissingError as error:
            return Reproduced(cell, None, f"not here: {error}")
        except UsageError:
            raise
        except NoValidCandidateError:
            return Reproduced(cell, None, "diverged")
        except LrctlError as error:
            return Reproduced(cell, None, f"failed: {error}")

    def _search(self, command: str, recipe: Recipe) -> RunResult:
        return run.search(command, recipe, store=self.store, executors=self.executors, check=self.check)

    def _plain(self, experiment: Experiment, cell: Cell) -> Recipe:
        return recipe_of(experiment, cell, self.scale, self.overrides)

    def _given(self, experiment: Experiment, cell: Cell) -> Recipe:
        """The recipe of a cell with the schedule that another cell found; that one is run first."""
        source = self._reproduced(*source_of(experiment, cell))
        if source.result is None or source.result.schedule is None:
            raise LrctlError(f"{cell.given}: {source.failure}")
        own = {key: value for key, value in cell.set.items() if not key.startswith("strategy.")}
        steps = self._plain(experiment, Cell("", set=own)).training.steps
        text = schedule_text(rebuilt(source.result.schedule, cell.given), source.result.steps)
        given = given_settings(cell.command, text, steps)
        return self._plain(experiment, replace(cell, set={**cell.set, **given}))


def source_of(experiment: Experiment, cell: Cell) -> tuple[Experiment, Cell]:
    """The cell whose schedule a cell is given, and its experiment."""
    for other in every_experiment():
        for each in other.cells:
            if f"{other.recipe}#{each.label}" == cell.given:
                return other, each
    raise UsageError(f"{experiment.recipe}: paper: {cell.label}: given: there is no cell {cell.given!r}")


def given_settings(command: str, text: str, steps: int) -> dict[str, Any]:
    """The settings that give a schedule, as JSON text, to a strategy, stretched to these steps where it can be."""
    settings: dict[str, Any] = {}
    for each in fields_of(registry().get("strategy", command).params):
        for mark in each.marks:
            if isinstance(mark, GivenSchedule):
                settings[f"strategy.{command}.{each.name}"] = text
                if mark.stretch:
                    settings[f"strategy.{command}.{mark.stretch}"] = steps
    return settings
