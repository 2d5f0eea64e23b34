"""The values of a figure, told where a reader points at them: titles in its SVG, which need no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BANDS = 48
"""A figure with lines is cut into at most so many bands, each of which tells the values of its middle."""

POINT = 9.0
"""The width and height of what stands for a point, in points of print."""

Box = tuple[float, float, float, float]
"""The left, lower, right and upper end of an area."""


class Told(Artist):
    """Areas of a figure that tell something; they are not seen."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self.texts = texts
        self.set_in_layout(False)

    def boxes(self) -> Iterator[Box]:
        """The area of each text, in pixels."""
        raise NotImplementedError


class Bands(Told):
    """From the bottom to the top of the axes, each around its x."""

    def __init__(self, xs: Sequence[float], texts: Sequence[str]) -> None:
        super().__init__(texts)
        self.xs = xs

    def boxes(self) -> Iterator[Box]:
        assert self.axes is not None
        left, bottom, right, top = self.axes.bbox.extents
        places = self.axes.transData.transform([(x, self.axes.get_ylim()[0]) for x in self.xs])[:, 0]
        ends = [left, *((a + b) / 2 for a, b in pairwise(places)), right]
        yield from ((max(low, left), bottom, min(high, right), top) for low, high in pairwise(ends))


class Cells(Told):
    """Rectangles; those that are smaller than a point are made as large."""

    def __init__(self, cells: Sequence[Box], texts: Sequence[str]) -> None:
        super().__init__(texts)
        self.cells = cells

    def boxes(self) -> Iterator[Box]:
        assert self.axes is not None
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        least = POINT / 2 * figure.dpi / 72
        for x0, y0, x1, y1 in self.cells:
            (a, b), (c, d) = self.axes.transData.transform([(x0, y0), (x1, y1)])
            (x, y), (w, h) = ((a + c) / 2, (b + d) / 2), (max(abs(c - a) / 2, least), max(abs(d - b) / 2, least))
            yield x - w, y - h, x + w, y + h


def tell_lines(axes: Axes, heading: Callable[[float], str], lines: Mapping[str, Mapping[float, float]]) -> None:
    """Tell the values of lines, each given as y by x, at places evenly chosen among all x; `heading` names an x."""
    xs = chosen(sorted({x for line in lines.values() for x in line}))
    texts = []
    for x in xs:
        there = {label: line.get(x, math.nan) for label, line in lines.items()}
        known = [f"{label}: {value:.4g}" for label, value in there.items() if math.isfinite(value)]
        texts.append("\n".join([heading(x), *known]))
    if xs:
        axes.add_artist(Bands(xs, texts))


def tell_cells(axes: Axes, cells: Sequence[Box], texts: Sequence[str]) -> None:
    """Tell a text at each of these areas, in the units of the axes; a point is one whose ends are alike."""
    if cells:
        axes.add_artist(Cells(cells, texts))


def chosen(values: Sequence[float]) -> Sequence[float]:
    """At most `BANDS` of some values, the first and the last among them.

    >>> chosen([3, 5]), len(chosen(range(1000))), chosen(range(1000))[-1]
    ([3, 5], 48, 999)
    """
    if len(values) <= BANDS:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, BANDS).round().astype(int)]


def titles(figure: Figure) -> str:
    """The areas as part of the figure's SVG."""
    scale, height = 72 / figure.dpi, figure.get_figheight() * 72
    found = []
    for told in figure.findobj(Told):
        assert isinstance(told, Told)
        for (x0, y0, x1, y1), text in zip(told.boxes(), told.texts, strict=True):
            if all(map(math.isfinite, (x0, y0, x1, y1))):
                place = {"x": x0 * scale, "y": height - y1 * scale, "width": (x1 - x0) * scale}
                place["height"] = (y1 - y0) * scale
                numbers = " ".join(f'{name}="{value:.1f}"' for name, value in place.items())
                found.append(f"<rect {numbers}><title>{escape(text)}</title></rect>")
    head = '<g class="told" fill="none" pointer-events="all" aria-hidden="true">'
    return f"{head}{''.join(found)}</g>" if found else ""
