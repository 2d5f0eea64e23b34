"""Charts: what a strategy may add to its result for a report to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrctl.schedule import tupled

Kind = Literal["lines", "steps", "points", "bars", "heat"]


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers that are drawn alike. A y of None, or one that is not finite, is a gap.

    Attributes:
        x: ascending; of bars their n + 1 edges, for n values of y.
        low: the lower end of the band or bar around each y, if it has one; then `high` is the upper end.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of a report.

    Attributes:
        name: of its files, such as `ecdf`: lower-case letters, digits and hyphens. Charts of one name, of several runs,
            are drawn one below the other.
        kind: `lines` through the points, with a band if the series have one; `steps`, each y from its x to the next;
            `points` with error bars; `bars` (a histogram); `heat`, a map of `cells`.
        caption: how to read it.
        cells: of `heat` only: a row for each of `rows`, a value for each of `columns`; None is left blank.
        log_x: whether x is on a logarithmic scale.
        ticks: of `points` and `lines`: names that stand at x = 0, 1, 2, ... in place of numbers.
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

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Chart:
        """The inverse of `dataclasses.asdict`, for a document that was read back."""
        values = {name: tupled(value) for name, value in document.items() if name != "series"}
        series = tuple(Series(**{name: tupled(value) for name, value in each.items()}) for each in document["series"])
        return cls(**values, series=series)
