"""The numbers of charts as text: as csv_rows of a CSV file, and in words for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeGuard

from lrctl.contracts.chart import Chart, Series

RunChart = tuple[str, Chart]
"""The name of a run, empty where there is none, and one of its charts."""

COLUMNS = ("run", "chart", "series", "x", "y", "low", "high")
"""Of the CSV file. A cell of a heat map has its row as the series and its column as x."""


def is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def lowest(values: Sequence[float | None]) -> int | None:
    """The place of the lowest number; None where there is none."""
    numbers = [(value, place) for place, value in enumerate(values) if is_number(value)]
    return min(numbers)[1] if numbers else None


def bins(series: Series) -> list[tuple[float, float, float]]:
    bars = zip(series.x, series.x[1:], series.y, strict=False)
    return [(low, high, y) for low, high, y in bars if is_number(y)]


def in_words(chart: Chart) -> Iterator[str]:
    for name, cells in zip(chart.rows, chart.cells, strict=True):
        if (place := lowest(cells)) is not None:
            yield f"{name}: lowest {cells[place]:g} at {chart.columns[place]}"
    for each in chart.series:
        of = f"{each.label}: " if len(chart.series) > 1 else ""
        names = [tick(chart, x, f"{x:g}") for x in each.x]
        known = [i for i, y in enumerate(each.y) if is_number(y)]
        if chart.kind == "bars":
            yield of + ", ".join(f"{value:g} from {low:g} to {high:g}" for low, high, value in bins(each) if value)
        elif chart.kind == "points":
            yield of + ", ".join(f"{names[i]} {each.y[i]:g}{ends(each, i)}" for i in known)
        elif (place := lowest(each.y)) is not None:
            first, last, low = (f"{each.y[i]:g} at {names[i]}" for i in (known[0], known[-1], place))
            yield f"{each.label}: from {first} to {last}, lowest {low}"


def place_of(chart: Chart, x: float) -> str:
    """The name that stands at x, else what x is with its number."""
    return tick(chart, x, f"{chart.x} {x:g}".strip())


def ends(series: Series, i: int) -> str:
    low, high = (series.low[i], series.high[i]) if series.low else (None, None)
    return f" ({low:g} to {high:g})" if is_number(low) and is_number(high) else ""


def tick(chart: Chart, x: float, number: str) -> str:
    """The name that stands at x, else the number."""
    return chart.ticks[int(x)] if float(x).is_integer() and 0 <= x < len(chart.ticks) else number


def csv_rows(charts: Iterable[RunChart]) -> Iterator[tuple[str, ...]]:
    """The numbers of charts as rows of `COLUMNS`. The last edge of bars has a row without a value."""
    for run, chart in charts:
        for name, cells in zip(chart.rows, chart.cells, strict=True):
            for column, value in zip(chart.columns, cells, strict=True):
                yield (run, chart.name, name, column, _cell(value), "", "")
        for each in chart.series:
            for i, x in enumerate(each.x):
                numbers = (_cell(values[i]) if i < len(values) else "" for values in (each.y, each.low, each.high))
                yield (run, chart.name, each.label, tick(chart, x, _cell(x)), *numbers)


def _cell(value: float | None) -> str:
    return repr(float(value)) if is_number(value) else ""
