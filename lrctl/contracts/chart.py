"""Charts: what a strategy may add to its result for a report to draw."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from lrctl.contracts.table import check_stem

Kind = Literal["lines", "steps", "points", "bars", "heat"]


def stem(name: str) -> str:
    """A name as a chart may have it: in lower case, with hyphens for all that is neither letter nor digit.

    >>> stem("semi-local/table_5")
    'semi-local-table-5'
    """
    return re.sub(r"[^a-z0-9]", "-", name.lower())


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers that are drawn alike. A y of None, or one that is not finite, is a gap.

    Attributes:
        x: ascending; of bars their n + 1 edges, for n values of y.
        low: the lower end of the band or bar around each y, if it has one; then `high` is the upper end.

    Raises:
        ValueError: something in it is no number, or `low` and `high` are not as many as y.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        numbers = (*self.x, *self.y, *self.low, *self.high)
        if any(isinstance(n, bool) or not isinstance(n, int | float | None) for n in numbers):
            raise ValueError(f"series {self.label!r}: x, y, low and high must be numbers, got {numbers}")
        if not len(self.low) == len(self.high) or len(self.low) not in (0, len(self.y)):
            raise ValueError(
                f"series {self.label!r}: low and high must be as many as y ({len(self.y)}), or none, "
                f"got {len(self.low)} and {len(self.high)}"
            )


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of a report.

    Attributes:
        name: of its files, such as `ecdf`: lower-case letters, digits and hyphens, but not `figure`, as
            a report's own is named. Charts of one name, of several runs, are drawn one below the other.
        kind: `lines` through the points, with a band if the series have one; `steps`, each y from its x to the next,
            whose bands are in the CSV only; `points` with error bars; `bars` (a histogram, its bars below 0 in another
            colour); `heat`, a map of `cells` in which the lowest of each row and of all are marked.
        caption: how to read it.
        cells: of `heat` only: a row for each of `rows`, a value for each of `columns`; None is left blank.
        log_x: whether x is on a logarithmic scale.
        ticks: of `points` and `lines`: names that stand at x = 0, 1, 2, ... in place of numbers. Of points they are
            listed from top to bottom, with their values to the right.

    Raises:
        ValueError: the name or the kind is none, or the numbers of a series, or of cells, do not fit together.
    """

    name: str
    title: str
    kind: Kind
    x: str
    y: str
    caption: str = ""
    series: tuple[Series, ...] = ()
    cells: tuple[tuple[float | None, ...], ...] = ()
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    log_x: bool = False
    log_y: bool = False
    ticks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_stem("chart", self.name, "figure")
        if self.kind not in get_args(Kind):
            raise ValueError(f"chart {self.name}: kind: must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        for each in self.series:
            if len(each.x) != (wanted := len(each.y) + (self.kind == "bars")):
                raise ValueError(f"chart {self.name}: series {each.label!r}: needs {wanted} x, got {len(each.x)}")
        if len(self.cells) != len(self.rows) or any(len(row) != len(self.columns) for row in self.cells):
            raise ValueError(
                f"chart {self.name}: cells must be {len(self.rows)} rows of {len(self.columns)}, got rows of "
                f"{[len(row) for row in self.cells]}"
            )
