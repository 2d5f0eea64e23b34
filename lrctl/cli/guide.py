"""`lrctl guide`: the documentation, in the terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from lrctl.cli.exit import reported
from lrctl.errors import unknown

GUIDE = Path(__file__).parents[1] / "guide"

KINDS = ("tutorials", "how-to", "reference", "explanation")
"""The folders of the guide, in the order in which they are listed."""

MOST = 12
"""So many pages that speak of something are listed."""

WIDEST = 120
"""Columns; longer lines are hard to read."""


def pages() -> dict[str, Path]:
    """The pages by topic, kind after kind."""
    return {page.stem: page for kind in KINDS for page in sorted((GUIDE / kind).glob("*.md"))}


def completions(incomplete: str) -> list[str]:
    return [topic for topic in pages() if topic.startswith(incomplete)]


@reported()
def guide(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", help="What to read about. Default: the list of topics.", autocompletion=completions
        ),
    ] = None,
    path: Annotated[bool, typer.Option("--path", help="Print where the page's file is, and not the page.")] = False,
) -> None:
    """Read the documentation: tutorials, how-to pages, reference and explanation.

    A terminal gets it laid out, page by page; a pipe or a file gets its Markdown. A word that is no topic is looked for
    in all pages.
    """
    if topic and not path and topic not in pages() and (lines := mentions(topic)):
        typer.echo("\n".join([f"No page is called {topic}; these speak of it:", *lines]))
        return
    page = found(topic) if topic else GUIDE
    if path:
        typer.echo(page)
    elif topic:
        show(page.read_text(encoding="utf-8"))
    else:
        typer.echo(contents())


def found(topic: str) -> Path:
    known = pages()
    if topic not in known:
        raise unknown("topic", topic, known, "lrctl guide")
    return known[topic]


def mentions(words: str) -> list[str]:
    """The pages that have these words, those with the most first, each with the first line that has them."""
    told = []
    for topic, page in pages().items():
        lines = [line.strip(" -*#|") for line in page.read_text(encoding="utf-8").splitlines()]
        if having := [line for line in lines if words.lower() in line.lower()]:
            told.append((-len(having), f"  {topic:<24} {textwrap.shorten(having[0], WIDEST - 28, placeholder=' ...')}"))
    return [line for _, line in sorted(told)][:MOST]


def contents() -> str:
    """The topics with their titles, kind after kind."""
    lines = ["lrctl guide TOPIC shows one of these pages."]
    for kind, group in groupby(pages().items(), lambda each: each[1].parent.name):
        lines += ["", kind, *(f"  {topic:<24} {title(page)}" for topic, page in group)]
    return "\n".join(lines)


def title(page: Path) -> str:
    """What the first heading of a page says."""
    text = page.read_text(encoding="utf-8")
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def show(text: str) -> None:
    if not sys.stdout.isatty():
        typer.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-FRX")  # as git does: colours, and no pager where the page fits the screen
    console = Console()
    with console.pager(styles=console.color_system is not None):
        console.print(Markdown(text), width=min(console.width, WIDEST))
