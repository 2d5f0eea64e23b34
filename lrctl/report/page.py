"""A comparison as one HTML page: it holds all it needs, asks for nothing, and runs no script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path

from lrctl import __version__
from lrctl.loading import is_code
from lrctl.report.compare import Comparison, Difference
from lrctl.report.curves import Run
from lrctl.report.figures import COLOURS, INK
from lrctl.report.tables import Table, comparison_tables, segments, sentence
from lrctl.report.tables import results as best_of_each
from lrctl.store import read_json

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the browser is told: whatever a name or label may hold, nothing is fetched and nothing is run."""


def page(comparison: Comparison, svg: str) -> str:
    """The page, with the figure as SVG. All text is escaped here."""
    title = heading(comparison)
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = (
        '<meta charset="utf-8">',
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", escape(title)),
        tag("style", style),
    )
    body = (
        tag("header", tag("h1", escape(title)), tag("p", escape(subject(comparison)), class_="faint")),
        tag("main", *results(comparison, svg), *making(comparison)),
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
    document = comparison.document
    return f"{document['workload']}, {document['steps']} steps, {named}. Made by lrctl {__version__}."


def results(comparison: Comparison, svg: str) -> Iterable[str]:
    """The verdicts, the figure and the tables."""
    if comparison.differences:
        yield tag("ul", *(verdict(found, comparison) for found in comparison.differences), class_="verdicts")
    yield tag("figure", inline(svg), tag("figcaption", escape(caption(comparison))))
    yield from map(html_table, comparison_tables(comparison))


def verdict(found: Difference, comparison: Comparison) -> str:
    """One method's verdict as a sentence."""
    kind = found.verdict if found.verdict in ("better", "worse") else "open"
    text = escape(sentence(found, comparison.reference.label))
    return tag("li", tag("strong", escape(f"{found.label}: {found.verdict}.")), f" {text}", class_=kind)


def caption(comparison: Comparison) -> str:
    """How to read the figure."""
    several = any(len(method.curves) > 1 for method in comparison.methods)
    right = "Right: the LR of each step." + " Thick lines are means, thin lines single seeds." * several
    if not comparison.differences:
        return f"Left: the training loss after a Gaussian filter of 10 steps. {right}"
    return (
        f"Left: the training loss minus that of {comparison.reference.label} on the same seed, after a Gaussian filter "
        f"of 10 steps; below 0 the method is ahead. The first steps and single seeds may leave the frame. {right}"
    )


def inline(svg: str) -> str:
    """The SVG as part of the page: as wide as it, and in its colours, be they light or dark."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r' width="[^"]*" height="[^"]*"', ' role="img" aria-labelledby="figure-title figure-desc"', svg, count=1
    )
    svg = svg.replace("<title>", '<title id="figure-title">').replace("<desc>", '<desc id="figure-desc">')
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


def making(comparison: Comparison) -> Iterable[str]:
    """How each run was made, and the commands that make all of it again."""
    yield tag("h2", "The runs")
    yield from (section(run) for run in comparison.runs)
    yield tag("h2", "Do it again")
    yield tag("p", "Save each recipe above under the name given here; then")
    yield tag("pre", tag("code", escape("\n".join(commands(comparison)))), tabindex="0")


def section(run: Run) -> str:
    """A run: its decisions, its cost and notes, its recipe, and what it ran on."""
    document = run.finished.document
    cost = document["cost"]
    told = (
        f"{run.command}, seed {document['seed']}: {cost['jobs']} jobs ({cost['jobs_reused']} reused), "
        f"{cost['steps_trained']} steps trained = {cost['baseline_runs']:.1f} plain runs, {cost['seconds']:.0f} s."
    )
    ran_on = read_json(run.finished.store.run(run.name) / "environment.json") or {}
    versions = "\n".join(f"{name}: {value}" for name, value in ran_on.items())
    return tag(
        "section",
        tag("h3", escape(run.name)),
        tag("p", escape(told), class_="faint"),
        html_table(segments(document)) if document["segments"] else "",
        html_table(best_of_each(document)) if document.get("results") else "",
        tag("ul", *(tag("li", escape(note)) for note in document["notes"]), class_="notes")
        if document["notes"]
        else "",
        folded("Recipe", run.finished.recipe),
        folded("Versions", versions),
    )


def folded(title: str, text: str) -> str:
    """Text that is shown when asked for, and in print."""
    return tag("details", tag("summary", escape(title)), tag("pre", tag("code", escape(text)), tabindex="0"))


def commands(comparison: Comparison) -> Iterable[str]:
    """The commands that make the runs again, and this page from them."""
    for run in comparison.runs:
        leave = " --allow-code" if is_code(run.finished.document["workload"]) else ""
        recipe = shlex.quote(f"./{run.name}.toml")
        yield f"lrctl {shlex.quote(run.command)} --recipe {recipe} --name {shlex.quote(run.name)}{leave}"
    against = f" --against {shlex.quote(comparison.reference.label)}" if comparison.differences else ""
    yield f"lrctl report {' '.join(shlex.quote(run.name) for run in comparison.runs)}{against}"
