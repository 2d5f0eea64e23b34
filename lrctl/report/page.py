"""A report as one HTML page: it holds all it needs, asks for nothing, and runs no script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from lrctl._version import __version__
from lrctl.contracts.table import Table
from lrctl.recipe.workloads import is_code
from lrctl.report.compare import Comparison, Difference
from lrctl.report.curves import Run, told_seeds
from lrctl.report.figures import COLOURS, INK, Picture
from lrctl.report.tables import comparison_tables, result_tables, sentence, told_cost
from lrctl.storage.files import read_json

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the browser is told: whatever a name or label may hold, nothing is fetched and nothing is run."""


def page(comparison: Comparison, pictures: Sequence[Picture]) -> str:
    """The page of a comparison."""
    against = comparison.reference.label if comparison.differences else None
    made = making(comparison.runs, against)
    return whole(heading(comparison), subject(comparison), *results(comparison, pictures), *made)


def summary_page(runs: Sequence[Run], pictures: Sequence[Picture]) -> str:
    """The page of runs in which nothing was trained: what their strategies have to show."""
    told = f"Nothing was trained. Made by lrctl {__version__}."
    return whole(", ".join(run.name for run in runs), told, *map(figure, pictures), *making(runs))


def tables_page(title: str, tables: Iterable[Table], pictures: Iterable[Picture]) -> str:
    """The page of tables and charts that belong to no run."""
    return whole(title, f"Made by lrctl {__version__}.", *map(html_table, tables), *map(figure, pictures))


def whole(title: str, told: str, *content: str) -> str:
    """The whole page around content that is HTML already."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">',
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", escape(title)),
        tag("style", style),
    )
    body = (
        tag("header", tag("h1", escape(title)), tag("p", escape(told), class_="faint")),
        tag("main", *content),
    )
    return "<!doctype html>\n" + tag("html", tag("head", *head), tag("body", *body), lang="en") + "\n"


def tag(name: str, /, *content: str, **attributes: str) -> str:
    """An HTML element around content that is HTML already."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"' for key, text in attributes.items())
    closing = "" if name == "meta" else f"</{name}>"
    return f"<{name}{given}>" + "".join(content) + closing + "\n" * (name not in INLINE)


INLINE = {"strong", "code", "th", "td"}


def heading(comparison: Comparison) -> str:
    """What is compared with what."""
    others = [found.label for found in comparison.differences]
    if not others:
        return comparison.reference.label
    names = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"{names} against {comparison.reference.label}"


def subject(comparison: Comparison) -> str:
    """What was trained, and what made the page."""
    seeds = sorted({seed for method in comparison.methods for seed in method.seeds})
    named = ("seeds " if len(seeds) > 1 else "seed ") + ", ".join(map(str, seeds))
    result = comparison.result
    return f"{result.workload}, {result.steps} steps, {named}. Made by lrctl {__version__}."


SENTENCES = 8
"""Verdicts of more methods than these stand in the table alone: as sentences they would fill a screen."""


def results(comparison: Comparison, pictures: Iterable[Picture]) -> Iterable[str]:
    """The verdicts, the figures and the tables."""
    if 0 < len(comparison.differences) <= SENTENCES:
        yield tag("ul", *(verdict(found, comparison) for found in comparison.differences), class_="verdicts")
    yield from map(figure, pictures)
    yield from map(html_table, comparison_tables(comparison))


def figure(picture: Picture) -> str:
    """A figure and how to read it; it scrolls by itself where the page is narrow."""
    drawn = tag(
        "div",
        inline(picture.name, picture.svg),
        class_="scroll",
        role="region",
        tabindex="0",
        aria_label=f"figure {picture.name}",
    )
    return tag("figure", drawn, tag("figcaption", escape(picture.caption)) if picture.caption else "")


def verdict(found: Difference, comparison: Comparison) -> str:
    """One method's verdict as a sentence."""
    kind = found.verdict if found.verdict in ("better", "worse") else "open"
    text = escape(sentence(found, comparison.reference.label))
    return tag("li", tag("strong", escape(f"{found.label}: {found.verdict}.")), f" {text}", class_=kind)


def inline(name: str, svg: str) -> str:
    """The SVG as part of the page: as wide as it, and in its colours, be they light or dark."""
    svg = svg[svg.index("<svg") :]
    labelled = f' role="img" aria-labelledby="{name}-title {name}-desc"'
    svg = re.sub(r' width="[^"]*" height="[^"]*"', labelled, svg, count=1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nothing refers to them, and each figure has the same
    svg = svg.replace("<title>", f'<title id="{name}-title">').replace("<desc>", f'<desc id="{name}-desc">')
    for i, colour in enumerate(COLOURS):
        svg = svg.replace(colour, f"var(--line-{i})")
    return svg.replace(INK, "currentColor")


def html_table(table: Table) -> str:
    """A table with its caption above and its notes below; it scrolls by itself where the page is narrow."""
    head = tag("tr", *(tag("th", escape(name), scope="col") for name in table.columns))
    body = (
        tag("tr", tag("th", escape(row[0]), scope="row"), *(tag("td", escape(cell)) for cell in row[1:]))
        for row in table.rows
    )
    drawn = tag("table", tag("caption", escape(table.caption)), tag("thead", head), tag("tbody", *body))
    notes = tag("div", *(tag("p", escape(note)) for note in table.notes), class_="notes") if table.notes else ""
    return tag("div", drawn, class_="scroll", role="region", tabindex="0", aria_label=table.caption) + notes


def making(runs: Sequence[Run], against: str | None = None) -> Iterable[str]:
    """How each run was made, and the commands that make all of it again."""
    yield tag("h2", "The runs")
    yield from map(section, runs)
    yield tag("h2", "Do it again")
    yield tag("p", "Save each recipe above under the name given here; then")
    yield tag("pre", tag("code", escape("\n".join(commands(runs, against)))), tabindex="0")


def section(run: Run) -> str:
    """A run: its cost, what its strategy shows of it, notes, its recipe, and what it ran on."""
    result = run.result
    told = f"{run.command}, {told_seeds(result.seeds)}: {told_cost(result.cost)}."
    ran_on = read_json(run.finished.store.run(run.name) / "environment.json") or {}
    versions = "\n".join(f"{name}: {value}" for name, value in ran_on.items())
    return tag(
        "section",
        tag("h3", escape(run.name)),
        tag("p", escape(told), class_="faint"),
        *map(html_table, result_tables(result)),
        tag("ul", *(tag("li", escape(note)) for note in result.notes), class_="notes") if result.notes else "",
        folded("Recipe", run.finished.recipe),
        folded("Versions", versions),
    )


def folded(title: str, text: str) -> str:
    """Text that is shown when asked for, and in print."""
    return tag("details", tag("summary", escape(title)), tag("pre", tag("code", escape(text)), tabindex="0"))


def commands(runs: Sequence[Run], against: str | None) -> Iterable[str]:
    """The commands that make the runs again, and this page from them."""
    for run in runs:
        leave = " --allow-code" if is_code(run.result.workload) else ""
        recipe = shlex.quote(f"./{run.name}.toml")
        yield f"lrctl {shlex.quote(run.command)} --recipe {recipe} --name {shlex.quote(run.name)}{leave}"
    named = f" --against {shlex.quote(against)}" if against is not None else ""
    yield f"lrctl report {' '.join(shlex.quote(run.name) for run in runs)}{named}"
