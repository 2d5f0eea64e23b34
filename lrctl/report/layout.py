"""How a table is laid out in the room that there is: no cell is ever split in the middle of a word or number.

Where it does not fit its headings are broken between words, then columns are left out that it can spare, then its last
column, if that is prose, is broken between words; else each row becomes a few lines of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import table as rich_table
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from lrctl.analysis.printable import printable
from lrctl.contracts.table import Table

APART = 2
"""Spaces between columns."""

PROSE = 24
"""A last column with longer cells of several words may be broken between these, down to this width."""


@dataclass(frozen=True)
class Drawn:
    """A table as Rich prints it.

    Attributes:
        less: the columns that are left out first where there is no room.
    """

    table: Table
    less: tuple[str, ...] = ()

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = printed(self.table)
        for name in self.left_out(options.max_width):
            columns, rows = without(name, columns, rows)
        widths = narrowest(columns, rows)
        room = options.max_width - sum_of(widths[:-1]) - APART * (len(widths) > 1)
        if sum_of(widths) <= options.max_width:
            yield grid(columns, rows, widened(columns, widths, options.max_width))
        elif is_prose([row[-1] for row in rows]) and room >= max(PROSE, longest_word(row[-1] for row in rows)):
            yield grid(columns, rows, [*widths[:-1], room])
        else:
            for line in stacked(columns, rows, options.max_width):
                yield Text(line, no_wrap=True, overflow="ignore")

    def left_out(self, width: int) -> list[str]:
        """The columns that there is no room for in so many columns of the terminal."""
        columns, rows = printed(self.table)
        spare, gone = [name for name in self.less if name in columns], list[str]()
        while len(gone) < len(spare) and sum_of(narrowest(columns, rows)) > width:
            gone.append(spare[len(gone)])
            columns, rows = without(gone[-1], columns, rows)
        return gone


def printed(table: Table) -> tuple[list[str], list[list[str]]]:
    return [printable(name) for name in table.columns], [[printable(cell) for cell in row] for row in table.rows]


def without(name: str, columns: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    at = columns.index(name)
    return columns[:at] + columns[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]


def narrowest(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """The least width of each column: that of its longest cell, or of the longest word of its heading."""
    return [
        max([longest_word([name]), *(cell_len(row[i]) for row in rows)], default=0) for i, name in enumerate(columns)
    ]


def widened(columns: Sequence[str], widths: Sequence[int], room: int) -> list[int]:
    """Widths with room for whole headings, from the left, as far as there is any."""
    spare, found = room - sum_of(widths), []
    for name, width in zip(columns, widths, strict=True):
        more = min(spare, max(0, cell_len(name) - width))
        found.append(width + more)
        spare -= more
    return found


def sum_of(widths: Sequence[int]) -> int:
    return sum(widths) + APART * max(0, len(widths) - 1)


def longest_word(texts: Iterable[str]) -> int:
    return max((cell_len(word) for text in texts for word in text.split()), default=0)


def is_prose(cells: Sequence[str]) -> bool:
    return any(cell_len(cell) > PROSE and len(cell.split()) > 3 for cell in cells)


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> rich_table.Table:
    headings = [
        rich_table.Column(Text(name), overflow="fold", width=width, vertical="top")
        for name, width in zip(columns, widths, strict=True)
    ]
    found = rich_table.Table(*headings, box=None, pad_edge=False)
    for row in rows:
        found.add_row(*map(Text, row))
    return found


def stacked(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    """The first cell of each row on a line of its own, and below it the others with their headings."""
    for row in rows:
        yield row[0]
        pairs = [f"{name}: {cell}" for name, cell in zip(columns[1:], row[1:], strict=True) if cell]
        for line in packed(pairs, width - 2):
            first, *others = packed(line.split(" "), width - 4, " ") if cell_len(line) > width - 2 else [line]
            yield from (f"  {first}", *(f"    {other}" for other in others))


def packed(parts: Iterable[str], width: int, apart: str = "   ") -> list[str]:
    """Parts on as few lines as they fit on, none of them broken."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1] + apart + part) <= width:
            lines[-1] += apart + part
        else:
            lines.append(part)
    return lines
