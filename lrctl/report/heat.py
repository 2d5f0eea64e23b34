"""A heat map: cells in colours that the colour-blind order alike, on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import SubFigure
from matplotlib.patches import Rectangle

from lrctl.contracts.chart import Chart
from lrctl.report.chart_text import is_number, lowest
from lrctl.report.drawing import INK, name_columns, slant
from lrctl.report.told import tell_cells

DARK, BRIGHT = "#0b0d10", "#ffffff"
"""Of the text in cells, whatever the page is like."""

BRIGHTER = 0.2
"""Cells of a higher luminance have dark text: about where both stand out alike."""

LEVELS = 48
"""Of colour: with more, matplotlib draws the bar as an image, which the page would not show."""

WORST = 4
"""Values more than so many times as far above the lowest as the median is share the last colour."""

LABELLED = 12
"""With more columns than these there is no room for numbers in the cells."""

THIN, THICK = 0.9, 2.2
"""The frames of the lowest cell of each row and of all."""


def heat_height(chart: Chart) -> float:
    """Of the map in inches: rows as high as a line of text, or lower if they are many."""
    return 1.7 + slant(chart.columns) + len(chart.rows) * min(0.3, max(0.1, 12 / len(chart.rows)))


def span(values: Sequence[float]) -> tuple[float, float, bool]:
    """The values of the first and the last colour, and whether some are beyond the last.

    Losses that nearly diverged would leave one colour for all that are worth a look.

    >>> span([1.0, 2.0, 3.0]), span([1.0, 2.0, 3.0, 1000.0])
    ((1.0, 3.0, False), (1.0, 7.0, True))
    """
    low, high = min(values), max(values)
    bound = low + WORST * (median(values) - low)
    return (low, bound, True) if low < bound < high else (low, high, False)


def colours() -> Colormap:
    """Viridis without its ends, which are too near to the paper of a dark or a light page; the lowest is bright."""
    whole = mpl.colormaps["viridis"]
    return ListedColormap([whole(0.93 - 0.81 * i / (LEVELS - 1)) for i in range(LEVELS)])


def heat(figure: SubFigure, axes: Axes, chart: Chart) -> None:
    """The map with its colour bar; the lowest of each row is framed, and that of all with a thick frame."""
    known = [(r, c, value) for r, of in enumerate(chart.cells) for c, value in enumerate(of) if is_number(value)]
    values = [value for _, _, value in known]
    best, high, beyond = span(values)
    norm, colour = Normalize(best, high, clip=True), colours()
    rectangles = [Rectangle((c - 0.48, r - 0.46), 0.96, 0.92) for r, c, _ in known]
    patches = PatchCollection(rectangles, cmap=colour, norm=norm, array=values, linewidth=0)
    axes.add_collection(patches)
    for row, column, value in known:
        ink = DARK if luminance(colour(norm(value))) > BRIGHTER else BRIGHT
        if column == lowest(chart.cells[row]):
            frame(axes, row, column, 0.9, 0.78, edgecolor=ink, linewidth=THICK if value == best else THIN)
        if len(chart.columns) <= LABELLED:
            weight = "bold" if value == best else "normal"
            axes.text(
                column, row, f"{value:#.4g}", color=ink, size=7.5, weight=weight, ha="center", va="center_baseline"
            )
    names = [f"{chart.rows[r]}, {chart.columns[c]}: {value:.4g}" for r, c, value in known]
    tell_cells(axes, [(c - 0.5, r - 0.5, c + 0.5, r + 0.5) for r, c, _ in known], names)
    bar = figure.colorbar(patches, ax=axes, pad=0.015, aspect=30, fraction=0.04, extend="max" if beyond else "neither")
    bar.outline.set_visible(False)
    if bar.solids:
        bar.solids.set_edgecolor("face")  # or lines would show between the colours
    bar.ax.tick_params(length=0)
    bar.ax.yaxis.set_major_formatter("{x:g}")
    label(axes, chart)
    frames = [Rectangle((0, 0), 1, 1, fill=False, edgecolor=INK, linewidth=width) for width in (THIN, THICK)]
    figure.legend(frames, ["lowest of the row", "lowest of all"], loc="outside lower center", ncols=2)


def luminance(colour: Any) -> float:
    """The relative luminance of a colour, as WCAG defines it."""
    r, g, b = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in colour[:3])
    return float(0.2126 * r + 0.7152 * g + 0.0722 * b)


def frame(axes: Axes, row: int, column: int, width: float, height: float, **look: Any) -> None:
    axes.add_patch(Rectangle((column - width / 2, row - height / 2), width, height, fill=False, **look))


def label(axes: Axes, chart: Chart) -> None:
    for row, of in enumerate(chart.cells):
        for column, value in enumerate(of):
            if not is_number(value):
                frame(axes, row, column, 0.94, 0.9, edgecolor=INK, alpha=0.35, linewidth=0.7)
    name_columns(axes, chart.columns)
    axes.set_yticks(range(len(chart.rows)), chart.rows, parse_math=False)
    axes.set(xlim=(-0.5, len(chart.columns) - 0.5), ylim=(len(chart.rows) - 0.5, -0.5))
    axes.set_xlabel(chart.x, parse_math=False)
    axes.set_ylabel(chart.y, parse_math=False)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
