"""A report as one HTML page: it holds all it needs, asks for nothing, and runs no script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lrctl._version import __version__
from lrctl.contracts.table import Table
from lrctl.recipe.workloads import is_code
from lrctl.report.compare import Comparison, Difference
from lrctl.report.curves import seeds_in_words
from lrctl.report.drawing import COLOURS, INK, Picture
from lrctl.report.runs import Run
from lrctl.report.tables import comparison_tables, cost_in_words, result_tables, sentence
from lrctl.storage.runs import LEAVE

SENTENCES = 8
"""Verdicts of more methods than these stand in the table alone: as sentences they would fill a screen."""


@dataclass(frozen=True)
class Panels:
    """Pictures that stand side by side where there is room, under one caption."""

    pictures: Sequence[Picture]
    caption: str


def comparison_page(comparison: Comparison, pictures: Iterable[Picture | Panels]) -> str:
    result, differences = comparison.result, comparison.differences
    seeds = sorted({seed for method in comparison.methods for seed in method.seeds})
    others = [each.label for each in differences]
    names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return page(
        f"{names} against {comparison.reference.label}" if others else comparison.reference.label,
        f"{result.workload}, {result.steps} steps, {seeds_in_words(seeds)}.",
        [*pictures, *comparison_tables(comparison)],
        runs=comparison.runs,
        verdicts=differences if len(differences) <= SENTENCES else (),
        against=comparison.reference.label if differences else None,
    )


def page(
    title: str,
    subject: str,
    content: Iterable[Picture | Panels | Table],
    runs: Sequence[Run] = (),
    verdicts: Sequence[Difference] = (),
    against: str | None = None,
) -> str:
    """The page of figures and tables in this order, and of runs; `against` is what the verdicts compare with."""
    return template().render(locals(), version=__version__)


@cache
def template() -> Template:
    """`page.html.j2`: what it is given comes out as text, and a name that it is not given is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    words = {"cost": cost_in_words, "seeds": seeds_in_words, "tables": result_tables}
    named = (commands, inlined, recipe_file, sentence, versions)
    environment.filters |= words | {each.__name__: each for each in named}
    return environment.get_template("page.html.j2")


def inlined(picture: Picture) -> str:
    """The SVG as part of the page: as wide as it, and in its colours, be they light or dark."""
    name, svg = picture.name, picture.svg[picture.svg.index("<svg") :]
    labelled = f' role="img" aria-labelledby="{name}-title {name}-desc"'
    svg = re.sub(r' width="[^"]*" height="[^"]*"', labelled, svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nothing refers to them, and each figure has the same
    svg = svg.replace("<title>", f'<title id="{name}-title">', 1).replace("<desc>", f'<desc id="{name}-desc">', 1)
    for i, colour in enumerate(COLOURS):
        svg = svg.replace(colour, f"var(--line-{i})")
    return svg.replace(INK, "currentColor")


def recipe_file(run: Run) -> str:
    """Its recipe as an address that holds the file itself, for a link that saves it."""
    return "data:application/toml;charset=utf-8," + quote(run.finished.recipe, safe="")


def versions(run: Run) -> str:
    ran_on = run.finished.store.runs.environment(run.name) or {"environment.json": "missing or damaged"}
    return "\n".join(f"{name}: {value}" for name, value in ran_on.items())


def commands(runs: Sequence[Run], against: str | None) -> Iterator[str]:
    """The commands that make the runs again, and this page from them."""
    for run in runs:
        leave = f"  # {LEAVE}" if is_code(run.result.workload) else ""
        recipe = shlex.quote(f"./{run.name}.toml")
        yield f"lrctl {shlex.quote(run.command)} --recipe {recipe} --name {shlex.quote(run.name)}{leave}"
    named = f" --against {shlex.quote(against)}" if against is not None else ""
    yield f"lrctl report {' '.join(shlex.quote(run.name) for run in runs)}{named}"
