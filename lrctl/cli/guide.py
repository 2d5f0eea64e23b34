"""`lrctl guide`: the documentation, in the terminal."""

from __future__ import annotations

import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from lrctl.cli.exit import reported
from lrctl.errors import unknown

GUIDE = Path(__file__).parents[1] / "guide"

KINDS = ("tutorials", "how-to", "reference", "explanation")
"""The folders of the guide, in the order in which they are listed."""

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

    A terminal gets it laid out, page by page; a pipe or a file gets its Markdown.
    """
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
