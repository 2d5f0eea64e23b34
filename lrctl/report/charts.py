"""The charts that strategies add to their results, as figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from lrctl.contracts.chart import Chart
from lrctl.report import drawing
from lrctl.report.chart_text import RunChart, bins, ends, in_words, is_number, place_of
from lrctl.report.drawing import Look, Picture, fit, name_columns, numbers, slant
from lrctl.report.heat import heat, heat_height
from lrctl.report.palette import Palette
from lrctl.report.runs import Run
from lrctl.report.told import tell_cells, tell_lines

MARKERS = ("o", "s", "^", "D", "v", "P")

FEW = 24
"""Up to as many points of a line each has a mark."""


def charts_of(runs: Sequence[Run]) -> list[RunChart]:
    """The charts of runs, those of one name together; one without a single number is left out."""
    charts = [(run.name, chart) for run in runs for chart in run.result.charts if is_drawable(chart)]
    names = list(dict.fromkeys(chart.name for _, chart in charts))
    return sorted(charts, key=lambda each: names.index(each[1].name))


def is_drawable(chart: Chart) -> bool:
    return any(is_number(value) for part in (*chart.cells, *(each.y for each in chart.series)) for value in part)


def pictures(charts: Sequence[RunChart], palette: Palette | None = None) -> list[Picture]:
    """A figure for each name of a chart, with the charts of that name one below the other."""
    names = dict.fromkeys(chart.name for _, chart in charts)
    looks = palette or Palette()
    return [picture(name, [each for each in charts if each[1].name == name], looks) for name in names]


def picture(name: str, charts: Sequence[RunChart], palette: Palette) -> Picture:
    runs = ", ".join(run for run, _ in charts if run)
    title = charts[0][1].title + (f" of {runs}" if runs else "")
    words = "; ".join((f"{run}: " if run else "") + ", ".join(in_words(chart)) for run, chart in charts)
    captions = " ".join(dict.fromkeys(chart.caption for _, chart in charts if chart.caption))
    return drawing.picture(lambda figure: paint(figure, charts, palette), name, title, words, captions)


def paint(figure: Figure, charts: Sequence[RunChart], palette: Palette) -> None:
    for part, (run, chart) in zip(drawing.stacked(figure, [height(chart) for _, chart in charts]), charts, strict=True):
        paint_chart(part, chart, palette)
        part.axes[0].set_title(chart.title + (f" of {run}" if len(charts) > 1 and run else ""), parse_math=False)


def height(chart: Chart) -> float:
    """Of a chart in inches."""
    if chart.kind == "heat":
        return heat_height(chart)
    labels = [each.label for each in chart.series]
    of_legend = 0.2 * drawing.legend_rows(labels) if len(labels) > 1 else 0.0
    if is_list(chart):
        return 1.1 + max(0.27, 0.16 * len(labels)) * len(chart.ticks) + of_legend
    return (0.8 if chart.kind == "bars" else 1.0) * drawing.HEIGHT + of_legend + slant(chart.ticks)


def is_list(chart: Chart) -> bool:
    """Whether names stand below each other at the left, where there is room for long ones."""
    return chart.kind == "points" and bool(chart.ticks)


def paint_chart(figure: SubFigure, chart: Chart, palette: Palette) -> None:
    axes = figure.subplots()
    if chart.kind == "heat":
        heat(figure, axes, chart)
        return
    looks = PAINTERS[chart.kind](axes, chart, palette.looks([each.label for each in chart.series]))
    across, up = (chart.y, chart.x) if is_list(chart) else (chart.x, chart.y)
    axes.set_xlabel(across, parse_math=False)
    axes.set_ylabel(up, parse_math=False)
    if len(looks) > 1:
        drawing.legend(figure, [each.label for each in chart.series], looks)


def lines(axes: Axes, chart: Chart, looks: list[Look]) -> list[Look]:
    """Lines with their bands; or stairs, without."""
    fit(axes, log_x=chart.log_x, log_y=chart.log_y)
    for each, look in zip(chart.series, looks, strict=True):
        x, y = numbers(each.x, chart.log_x), numbers(each.y, chart.log_y)
        stairs = chart.kind == "steps"
        axes.plot(x, y, **look, drawstyle="steps-post" if stairs else "default")
        marked = [i for i in range(len(y)) if is_isolated(y, i) or (len(y) <= FEW and not stairs)]
        axes.plot(x[marked], y[marked], "o", color=look["color"], markersize=4)
        if each.low and not stairs:
            low, high = numbers(each.low, chart.log_y), numbers(each.high, chart.log_y)
            axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    if chart.ticks:
        name_columns(axes, chart.ticks)
    else:
        axes.margins(x=0.02)
    known = [{x: y for x, y in zip(each.x, each.y, strict=True) if is_number(y)} for each in chart.series]
    of = {each.label or chart.y: line for each, line in zip(chart.series, known, strict=True)}
    tell_lines(axes, partial(place_of, chart), of)
    return looks


def is_isolated(y: Any, i: int) -> bool:
    """Whether a value stands between gaps, so that no line goes through it."""
    return all(not 0 <= place < len(y) or not math.isfinite(y[place]) for place in (i - 1, i + 1))


def points(axes: Axes, chart: Chart, given: list[Look]) -> list[Look]:
    """Points with their error bars; those with names in lines below each other."""
    listed, looks = is_list(chart), list[Look]()
    fit(axes, log_x=chart.log_y if listed else chart.log_x, log_y=chart.log_y and not listed)
    apart = min(0.2, 0.7 / len(chart.series)) if listed else 0.0
    for place, (each, of) in enumerate(zip(chart.series, given, strict=True)):
        x = numbers(each.x, chart.log_x and not listed) + apart * (place - (len(chart.series) - 1) / 2)
        y = numbers(each.y, chart.log_y)
        look = {"color": of["color"], "marker": MARKERS[place % len(MARKERS)], "linestyle": "none"}
        for at, low, high in zip(x, each.low, each.high, strict=True) if each.low else ():
            if is_number(low) and is_number(high):
                along, stay = [low, high], [at, at]
                axes.plot(*((along, stay) if listed else (stay, along)), color=look["color"], linewidth=1.6)
        axes.plot(*((y, x) if listed else (x, y)), **look)
        known = [(i, a, b) for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)) if math.isfinite(b)]
        name = each.label or chart.y
        texts = [f"{place_of(chart, each.x[i])}\n{name}: {b:.4g}{ends(each, i)}" for i, _, b in known]
        tell_cells(axes, [(b, a, b, a) if listed else (a, b, a, b) for _, a, b in known], texts)
        looks.append(look)
    if listed:
        axes.set_yticks(range(len(chart.ticks)), chart.ticks, parse_math=False)
        axes.set_ylim(len(chart.ticks) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    return looks


def bars(axes: Axes, chart: Chart, given: list[Look]) -> list[Look]:
    """A bar for each value; where they are on both sides of 0, a line there and two colours."""
    fit(axes, log_x=chart.log_x, log_y=chart.log_y)
    looks: list[Look] = [{"color": each["color"], "linewidth": 6} for each in given]
    for each, look in zip(chart.series, looks, strict=True):
        if len(looks) > 1:
            y = numbers(each.y, chart.log_y)
            axes.stairs(y, each.x, fill=True, color=look["color"], alpha=0.2)
            axes.stairs(y, each.x, color=look["color"], linewidth=1.8)
            continue
        for low, high, value in bins(each):
            gap = 0.0 if chart.log_x else 0.04 * (high - low)
            axes.bar(low + gap, value, high - low - 2 * gap, align="edge", color=drawing.COLOURS[0 if low >= 0 else 1])
    drawn = [(each.label or chart.y, *bar) for each in chart.series for bar in bins(each)]
    texts = [f"{low:g} to {high:g}\n{label}: {value:g}" for label, low, high, value in drawn]
    tell_cells(axes, [(low, 0 if not chart.log_y else value, high, value) for _, low, high, value in drawn], texts)
    edges = [x for each in chart.series for x in each.x]
    if min(edges) < 0 < max(edges):
        axes.axvline(0, color=drawing.INK, linewidth=1.2)
    axes.grid(visible=False, axis="x")
    if not chart.log_y and all(float(y).is_integer() for each in chart.series for _, _, y in bins(each)):
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    return looks


PAINTERS = {"lines": lines, "steps": lines, "points": points, "bars": bars}
