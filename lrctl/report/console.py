"""Text and tables on a terminal: what they quote from stores, recipes and plugins cannot steer it."""

from __future__ import annotations

import sys
from typing import Any

from rich import table as rich_table
from rich.console import Console
from rich.text import Text

from lrctl.analysis.printable import printable
from lrctl.contracts.table import Table


def stdout() -> Console:
    """Stdout, for text that is printed as it is."""
    # A table is fitted to a terminal, but not on its way into a file.
    width = None if sys.stdout.isatty() else 10_000
    return Console(width=width, highlight=False, soft_wrap=True, markup=False)


def show(console: Console, *parts: Any) -> None:
    """Print lines of text, and whatever else Rich can print, one below the other."""
    console.print(*(plain(part) if isinstance(part, str) else part for part in parts), sep="\n", soft_wrap=True)


def plain(line: str, style: str = "") -> Text:
    return Text(printable(line), style)


def drawn(table: Table) -> rich_table.Table:
    columns = [rich_table.Column(plain(name), overflow="fold") for name in table.columns]
    grid = rich_table.Table(*columns, box=None, pad_edge=False)
    for row in table.rows:
        grid.add_row(*map(plain, row))
    return grid
