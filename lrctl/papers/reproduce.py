"""A paper's experiments, run again, and the numbers that it prints laid beside ours.

What a paper did stands in recipes that have a table `[paper]`:

    [paper]
    name = "semi-local"                       # `lrctl reproduce NAME`
    table = "Table 5, 10 segments"            # what the cells are
    command = "semilocal"                     # the strategy, unless a cell names another
    columns = {train = "train_loss"}          # a printed number, and where ours is in the result document
    cells = [{label = "eps 0.06", set = {"strategy.semilocal.eps" = 0.06}, printed = {train = 3.165}}]
    # A cell may have its own `command`, and be given the schedule that another cell found: `given = "RECIPE#LABEL"`.
    row = 1                                   # its place, where several recipes make one table
    scales = ["tiny", "paper"]                # at which scales it is run
    tiny = {recipe = "quickstart", set = {}}  # what is trained at scale tiny instead, and what else is changed

At scale `tiny` the strategies' own tables are kept, and everything else is that of a small recipe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lrctl.contracts import params as fields
from lrctl.contracts.chart import Chart, Series, stem
from lrctl.contracts.run_result import RunResult
from lrctl.contracts.strategy import GivenSchedule
from lrctl.contracts.table import Table, signed
from lrctl.engine import run
from lrctl.engine.executors import Executors
from lrctl.errors import LrctlError, MissingError, NoValidCandidateError, UsageError, unknown
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.registry.registry import registry
from lrctl.registry.schedules import rebuilt, schedule_text

Scale = Literal["tiny", "paper"]

TINY = "quickstart"
"""The recipe that is trained at scale tiny, unless another is named."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a paper's table, or a few that belong together: what is run, and what is printed.

    `columns` tells where our numbers are, if they are elsewhere than those of the other cells.
    """

    label: str
    printed: Any = field(default_factory=dict)
    set: Any = field(default_factory=dict)
    command: str = ""
    given: str = ""
    columns: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smaller:
    """What is trained in place of the paper's model, and the recipe keys that are changed for it."""

    recipe: str = TINY
    set: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A recipe's `[paper]` table."""

    name: str
    table: str
    cells: Any
    command: str = ""
    columns: Any = field(default_factory=lambda: {"train": "train_loss", "eval": "test_loss"})
    scales: tuple[str, ...] = ("tiny", "paper")
    tiny: Any = field(default_factory=dict)
    row: int = 0
    recipe: str = ""


@dataclass(frozen=True, slots=True)
class Reproduced:
    """A cell that was run: the result of its run, or why there is none."""

    cell: Cell
    result: RunResult | None
    failure: str = ""

    def of(self, name: str, path: str) -> Any:
        """Our number of a column, whose `path` is that of the experiment unless the cell has its own."""
        return self.ours(self.cell.columns.get(name, path))

    def ours(self, path: str) -> Any:
        """What stands at `path` in the document, such as `rows.0.delta`; None if nothing does."""
        found: Any = self.result and self.result.to_json()
        for part in path.split("."):
            try:
                found = found[int(part)] if isinstance(found, list | tuple) else found[part]
            except (KeyError, IndexError, TypeError, ValueError):
                return None
        return found


def papers() -> list[str]:
    """The papers that bundled recipes are from."""
    return sorted({each.name for each in every_experiment()})


def every_experiment() -> list[Experiment]:
    """The experiments of all papers, in the order of their recipes' names."""
    return [each for name in recipe_file.bundled() if (each := experiment(name))]


def experiments(paper: str, scale: Scale) -> list[Experiment]:
    """The experiments of a paper that are run at a scale, in the order of their recipes' names.

    Raises:
        UsageError: no recipe is of that paper, or its table is not as it should be.
    """
    found = every_experiment()
    if paper not in {each.name for each in found}:
        raise unknown("paper", paper, {each.name for each in found}, f"lrctl reproduce {paper}")
    return [each for each in found if each.name == paper and scale in each.scales]


def experiment(recipe: str) -> Experiment | None:
    """What a bundled recipe says of a paper; None if it says nothing.

    Raises:
        UsageError: a key is unknown or missing.
    """
    table = recipe_file.parse(recipe_file.bundled()[recipe]).get("paper")
    if table is None:
        return None
    where = f"{recipe}: paper"
    made: Experiment = fields.build(Experiment, {**table, "recipe": recipe}, where)
    cells = tuple(fields.build(Cell, each, f"{where}.cells[{i}]") for i, each in enumerate(made.cells))
    tiny = fields.build(Smaller, made.tiny, f"{where}.tiny")
    return replace(made, cells=cells, tiny=tiny)


def recipe_of(wanted: Experiment, cell: Cell, scale: Scale, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of a cell; `overrides` are the user's own."""
    if scale == "paper":
        return recipes.read(wanted.recipe, {**cell.set, **overrides})
    tables: dict[str, Any] = {}
    for layer in recipe_file.layers(wanted.recipe):
        tables = recipe_file.merge(layer.tables, tables)
    own = tables.get("strategy", {}).items()
    strategy = {f"strategy.{name}.{key}": value for name, table in own for key, value in table.items()}
    return recipes.read(wanted.tiny.recipe, {**strategy, **wanted.tiny.set, **cell.set, **overrides})


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How a paper's experiments are run: at which scale, in which store, with which recipe keys of the user's own."""

    scale: Scale
    store: str | Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    executors: Executors = field(default_factory=Executors)

    def run(self, wanted: Experiment) -> list[Reproduced]:
        """Run every cell of an experiment; what is in the store is not run again. A cell that fails says so.

        Raises:
            UsageError: the recipe, a setting or the workload cannot be used.
        """
        for cell in wanted.cells:
            if not cell.given:  # a mistake should show before the first run
                recipe_of(wanted, cell, self.scale, self.overrides).params(self.command(wanted, cell))
        return [self.reproduced(wanted, cell) for cell in wanted.cells]

    def command(self, wanted: Experiment, cell: Cell) -> str:
        """The strategy of a cell."""
        return cell.command or wanted.command

    def reproduced(self, wanted: Experiment, cell: Cell) -> Reproduced:
        """A cell, run."""
        try:
            command, recipe = self.command(wanted, cell), self.recipe(wanted, cell)
            return Reproduced(cell, run.search(command, recipe, store=self.store, executors=self.executors))
        except MissingError as error:
            return Reproduced(cell, None, f"not here: {error}")
        except UsageError:
            raise
        except LrctlError as error:
            told = "diverged" if isinstance(error, NoValidCandidateError) else f"failed: {error}"
            return Reproduced(cell, None, told)

    def recipe(self, wanted: Experiment, cell: Cell) -> Recipe:
        """The recipe of a cell, with the schedule that another cell found if it is given one; that is run first.

        Raises:
            UsageError: there is no such cell.
            LrctlError: it found nothing.
        """
        if not cell.given:
            return recipe_of(wanted, cell, self.scale, self.overrides)
        name, _, label = cell.given.partition("#")
        other = experiment(name) if name in recipe_file.bundled() else None
        source = next((each for each in other.cells if each.label == label), None) if other else None
        if other is None or source is None:
            raise UsageError(f"{wanted.recipe}: paper: {cell.label}: given: there is no cell {cell.given!r}")
        found = self.reproduced(other, source)
        if found.result is None or found.result.schedule is None:
            raise LrctlError(f"{cell.given}: {found.failure}")
        own = {key: value for key, value in cell.set.items() if not key.startswith("strategy.")}
        command, plain = self.command(wanted, cell), recipe_of(wanted, Cell("", set=own), self.scale, self.overrides)
        text = schedule_text(rebuilt(found.result.schedule, cell.given), found.result.steps)
        settings = dict(cell.set)
        for each in fields.fields_of(registry().get("strategy", command).params):
            for mark in (mark for mark in each.marks if isinstance(mark, GivenSchedule)):
                settings[f"strategy.{command}.{each.name}"] = text
                if mark.stretch:
                    settings[f"strategy.{command}.{mark.stretch}"] = plain.training.steps
        return recipe_of(wanted, replace(cell, set=settings), self.scale, self.overrides)


def together(wanted: Sequence[Experiment]) -> list[list[Experiment]]:
    """Experiments that stand in one table of the paper, by their rows; tables in the order of the first of each."""
    found: dict[str, list[Experiment]] = {}
    for each in wanted:
        found.setdefault(each.table, []).append(each)
    return [sorted(each, key=lambda one: one.row) for each in found.values()]


def beside(wanted: Sequence[Experiment], done: Sequence[Reproduced], scale: Scale) -> Table:
    """The printed numbers and ours: a row for each cell of experiments of one table, two columns for each number."""
    first = wanted[0]
    named = list(first.columns.items())
    heads = tuple(head for name, _ in named for head in (f"{name}, printed", f"{name}, ours"))
    rows = tuple((each.cell.label, *(text for name, path in named for text in pair(each, name, path))) for each in done)
    told = [f"Recipe{'s' * (len(wanted) > 1)} {', '.join(each.recipe for each in wanted)}."]
    if scale == "tiny" and first.tiny.recipe != first.recipe:
        told.append(
            f"Ours are of the same protocol on the recipe {first.tiny.recipe}, with another model and other data: "
            "only the order within a column can be compared."
        )
    printed = {name for each in done for name in each.cell.printed}
    if not printed:
        told.append("The paper's own numbers are not known here.")
        heads = tuple(name for name, _ in named)
        rows = tuple((row[0], *row[2::2]) for row in rows)
    return Table(first.table, (" ", *heads), rows, (*told, *agreement(first, done)))


def pair(done: Reproduced, name: str, path: str) -> tuple[str, str]:
    """A printed number and ours, as text."""
    return shown(done.cell.printed.get(name, "")), done.failure or shown(done.of(name, path))


def shown(value: Any) -> str:
    """A number as it stands in a table."""
    if value is None:
        return "not finite"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def agreement(wanted: Experiment, done: Sequence[Reproduced]) -> list[str]:
    """For each column of losses: which cell is the lowest, printed and ours, and how well the orders agree."""
    told = []
    for name, path in wanted.columns.items():
        both = [(e.cell.printed.get(name), e.of(name, path), e.cell.label) for e in done]
        known = [(p, o, label) for p, o, label in both if is_number(p) and is_number(o)]
        if len(known) >= 3 and not any(each.cell.columns for each in done):
            printed, ours = min(known)[2], min(known, key=lambda each: each[1])[2]
            told.append(
                f"Lowest {name}: {printed} as printed, {ours} here; Kendall's tau of the {len(known)} cells is "
                f"{signed(kendall([p for p, _, _ in known], [o for _, o, _ in known]))[:5]}."
            )
    return told


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's tau-b: 1 for the same order, -1 for the opposite one; 0 where one side is all equal."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(a, b).statistic)
    return tau if math.isfinite(tau) else 0.0


def drawn(wanted: Experiment, done: Sequence[Reproduced]) -> Chart | None:
    """The printed numbers and ours over the cells; None where nothing is printed."""
    place = tuple(map(float, range(len(done))))
    series = []
    for name, path in wanted.columns.items():
        printed = tuple(number(each.cell.printed.get(name)) for each in done)
        if any(value is not None for value in printed):
            ours = tuple(number(each.of(name, path)) for each in done)
            series += [Series(f"{name}, printed", place, printed), Series(f"{name}, ours", place, ours)]
    if not series:
        return None
    ticks = tuple(each.cell.label for each in done)
    return Chart(
        stem(wanted.recipe),
        wanted.table,
        "lines",
        "",
        "",
        "The numbers of the table above.",
        tuple(series),
        ticks=ticks,
    )


def number(value: Any) -> float | None:
    """A number that can be drawn; None for anything else."""
    return float(value) if is_number(value) else None
