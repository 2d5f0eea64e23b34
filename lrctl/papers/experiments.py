"""The experiments of a paper, as recipes tell them.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lrctl.errors import unknown
from lrctl.recipe import files as recipe_file
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.registry.values import build

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
    name: str
    table: str
    cells: Any
    command: str = ""
    columns: Any = field(default_factory=lambda: {"train": "train_loss", "eval": "test_loss"})
    scales: tuple[str, ...] = ("tiny", "paper")
    tiny: Any = field(default_factory=dict)
    row: int = 0
    recipe: str = ""


def papers() -> list[str]:
    return sorted({each.name for each in every_experiment()})


def every_experiment() -> list[Experiment]:
    """The experiments of all papers, in the order of their recipes' names."""
    tables = {recipe: recipe_file.parse(path).get("paper") for recipe, path in recipe_file.bundled().items()}
    return [read(recipe, table) for recipe, table in tables.items() if table is not None]


def read(recipe: str, table: Mapping[str, Any]) -> Experiment:
    where = f"{recipe}: paper"
    found: Experiment = build(Experiment, {**table, "recipe": recipe}, where)
    commanded = [{"command": found.command, **cell} for cell in found.cells]
    cells = tuple(build(Cell, cell, f"{where}.cells[{i}]") for i, cell in enumerate(commanded))
    return replace(found, cells=cells, tiny=build(Smaller, found.tiny, f"{where}.tiny"))


def experiments(paper: str, scale: Scale, only: Sequence[str] = ()) -> list[Experiment]:
    """The experiments of a paper that are run at a scale, of `only` these recipes if any, by their names."""
    every = every_experiment()
    if paper not in (known := {each.name for each in every}):
        raise unknown("paper", paper, known, f"lrctl reproduce {paper}")
    found = {each.recipe: each for each in every if each.name == paper and scale in each.scales}
    for recipe in only:
        if recipe not in found:
            raise unknown("recipe", recipe, found, f"--only {recipe}")
    return [each for recipe, each in found.items() if not only or recipe in only]


def by_table(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """The experiments of each table of the paper, by their rows; tables in the order of the first of each."""
    tables: dict[str, list[Experiment]] = {}
    for each in experiments:
        tables.setdefault(each.table, []).append(each)
    return [sorted(table, key=lambda each: each.row) for table in tables.values()]


def recipe_of(experiment: Experiment, cell: Cell, scale: Scale, overrides: Mapping[str, Any]) -> Recipe:
    if scale == "paper":
        return recipes.read(experiment.recipe, {**cell.set, **overrides})
    tables: dict[str, Any] = {}
    for layer in recipe_file.layers(experiment.recipe):
        tables = recipe_file.merge(layer.tables, tables)
    own = tables.get("strategy", {}).items()
    strategy = {f"strategy.{name}.{key}": value for name, table in own for key, value in table.items()}
    return recipes.read(experiment.tiny.recipe, {**strategy, **experiment.tiny.set, **cell.set, **overrides})
