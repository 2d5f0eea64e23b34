"""Tables of text: what a strategy may add to its result, for the terminal and for the page alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OWN_FILES = ("page", "curves", "charts")
"""What a report calls files of its own."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text. The first cell of a row names the row; the notes say how to read it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_cells(f"table {self.caption!r}", self.columns, self.rows)


@dataclass(frozen=True, slots=True)
class DataFile:
    """Rows that a report writes as `NAME.csv`; those of several runs stand in one file, each once.

    Attributes:
        name: lower-case letters, digits and hyphens, but not `page`, `curves` or `charts`, as a report's own are named.

    Raises:
        ValueError: the name is none, or columns and rows are not as many strings each.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        check_stem("data file", self.name, *OWN_FILES)
        check_cells(f"data file {self.name!r}", self.columns, self.rows)


def check_stem(what: str, name: str, *taken: str) -> None:
    """Refuse the name of a file that no report can write, or that it has for another; a result may be a stranger's."""
    if not re.fullmatch(r"[a-z0-9-]+", name) or name in taken:
        raise ValueError(
            f"{what} {name!r}: its name must be lower-case letters, digits and hyphens, and not {' or '.join(taken)}"
        )


def check_cells(where: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Refuse what could not be shown: a search would find it out at its end only."""
    for row in (columns, *rows):
        if len(row) != len(columns) or not all(isinstance(cell, str) for cell in row):
            raise ValueError(f"{where}: columns and rows must be {len(columns)} strings each, got {row!r}")


def number(loss: float | None) -> str:
    """A loss to four digits."""
    return "not finite" if loss is None or not math.isfinite(loss) else f"{loss:.4f}"


def signed(value: float) -> str:
    """A difference of losses."""
    return f"{value:+.4f}" if math.isfinite(value) else "not finite"


def interval(ends: Sequence[float] | None, ended: Callable[[float], str] = signed) -> str:
    """An interval of differences or, with `number`, of losses.

    >>> interval((-0.5, 0.25)), interval((1.0, 2.0), number), interval(None)
    ('-0.5000 to +0.2500', '1.0000 to 2.0000', 'none')
    """
    return "none" if ends is None else " to ".join(map(ended, ends))


def probability(p: float | None) -> str:
    """A p value, short."""
    return "none" if p is None else "<0.001" if p < 0.001 else f"{p:.2g}"
