"""Text and tables on a terminal: what they quote from stores, recipes and plugins cannot steer it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.text import Text

from lrctl.analysis.printable import printable
from lrctl.contracts.table import Table
from lrctl.report.layout import Drawn


def stdout() -> Console:
    """Stdout, for text that is printed as it is."""
    # A table is fitted to a terminal, but not on its way into a file.
    width = None if sys.stdout.isatty() else 10_000
    return Console(width=width, highlight=False, soft_wrap=True, markup=False)


def show(console: Console, *parts: Any) -> None:
    """Print lines of text, and whatever else Rich can print, one below the other.

    On a terminal a line that is too long is broken between its words: the terminal would break numbers.
    """
    texts = (plain(part) if isinstance(part, str) else part for part in parts)
    width = console.width if console.is_terminal else 10_000
    lines = [line for text in texts for line in (broken(text, width) if isinstance(text, Text) else [text])]
    console.print(*lines, sep="\n", soft_wrap=True)


def plain(line: str, style: str = "") -> Text:
    return Text(printable(line), style)


def broken(line: Text, width: int) -> list[Text]:
    """A line broken between words, where it is too long; a word that is too long itself stays whole."""
    if line.cell_len <= width:
        return [line]
    ends: list[int] = []
    start = last = 0
    for at, character in enumerate(f"{line.plain} "):
        if character != " ":
            continue
        if line[start:at].cell_len > width and last > start:
            ends.append(last + 1)
            start = last + 1
        last = at
    parts = [line[a:b] for a, b in pairwise([0, *ends, len(line)])]
    for part in parts:
        part.rstrip()
    return parts


def drawn(table: Table, less: Sequence[str] = ()) -> Drawn:
    """A table, fitted to where it is printed; `less` are the columns that are left out first where it is narrow."""
    return Drawn(table, tuple(less))
