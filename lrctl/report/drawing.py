"""What all figures of a report have in common: ink, colours, lines, scales, legends; how they become PNG and SVG."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from lrctl.report.told import titles

INK = "#1b1e23"

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b87a00", "#3a97d4")
"""Of Okabe and Ito, told apart by the colour-blind too; the last two are darker, to stand out from white."""

STYLES = ("-", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1.5, 1.5)))
"""As many as are told apart in print; with the colours, twelve lines look different."""

INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "grid.color", "xtick.color", "ytick.color")

LOOK: Any = dict.fromkeys(INKED, INK) | {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "svg.fonttype": "none",
}

HEIGHT = 4.0
"""Of two panels in inches, without their legend; their width is 10."""

ROOM = 90
"""How many letters names may have to stand side by side."""

Look = dict[str, Any]
"""How a line is drawn: its colour, style and width."""


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, and as PNG where it is asked for, which takes as long again."""

    name: str
    svg: str
    caption: str
    figure: Figure

    @property
    def png(self) -> bytes:
        return saved(self.figure, self.name, "png", dpi=200, metadata={"Software": None})


def picture(
    paint: Callable[[Figure], None],
    name: str,
    title: str,
    description: str,
    caption: str = "",
    size: tuple[float, float] = (10, HEIGHT),
) -> Picture:
    """A figure; what is painted alike always gives the same bytes.

    The name tells the parts of figures on one page apart. Title and description are for those who do not see it.
    """
    with drawing_of(name):
        figure = Figure(figsize=size, layout="constrained")
        paint(figure)
    svg = saved(figure, name, "svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
    figure.set_layout_engine("none")  # it stays as it was laid out: doing it again takes as long as drawing
    texts = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    bare = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    described = re.sub(r"(<svg [^>]*>)", lambda tag: tag[1] + texts, bare, count=1)
    return Picture(name, described.replace("</svg>", f"{titles(figure)}</svg>"), caption, figure)


@contextmanager
def drawing_of(name: str) -> Iterator[None]:
    """A block in which matplotlib draws as all figures here look."""
    # Text in a script that the font lacks is no reason to warn: the SVG and the tables have it.
    with mpl.rc_context(LOOK | {"svg.hashsalt": f"lrctl {name}"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def saved(figure: Figure, name: str, form: str, **options: Any) -> bytes:
    file = BytesIO()
    with drawing_of(name):
        figure.savefig(file, format=form, **options)
    return file.getvalue()


def stacked(figure: Figure, heights: Sequence[float]) -> Sequence[SubFigure]:
    """Parts of a figure one below the other, each of its height in inches."""
    figure.set_figheight(sum(heights))
    return [*figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]]


def look_of(place: int) -> Look:
    """The look of the line at this place, from 0; from the thirteenth on they are thinner."""
    width = 1.8 if place < math.lcm(len(COLOURS), len(STYLES)) else 1.0
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place % len(STYLES)], "linewidth": width}


def legend_columns(labels: Sequence[str], letters: int = 120) -> int:
    return max(1, min(len(labels), letters // (max(map(len, labels)) + 8)))


def legend_rows(labels: Sequence[str], letters: int = 120) -> int:
    return math.ceil(len(labels) / legend_columns(labels, letters))


def legend(figure: FigureBase, labels: Sequence[str], looks: Sequence[Look], letters: int = 120) -> None:
    """One legend below what is drawn; labels are shown as they are, not as formulas."""
    handles = [Line2D([], [], **look) for look in looks]
    box = figure.legend(
        handles,
        ["-"] * len(labels),
        loc="outside lower center",
        ncols=legend_columns(labels, letters),
        handlelength=3.2,
    )
    for text, label in zip(box.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)


def slant(names: Sequence[str]) -> float:
    """By how much a chart grows, in inches, for names below it that have no room side by side."""
    longest = max(map(len, names), default=0)
    return 0.04 * longest if longest * len(names) > ROOM else 0.0


def name_columns(axes: Axes, names: Sequence[str]) -> None:
    """Names at x = 0, 1, 2, ..., slanted where they have no room."""
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slant(names) else {}
    axes.set_xticks(range(len(names)), names, parse_math=False, **slanted)


def numbers(values: Sequence[float | None], log: bool = False) -> np.ndarray[Any, Any]:
    """Values as an array: NaN, which is a gap, for None, what is not finite, and what a logarithmic scale lacks."""
    floats = [math.nan if v is None or not math.isfinite(v) or (log and v <= 0) else float(v) for v in values]
    return np.array(floats, dtype="f8")


def fit(axes: Axes, *, log_x: bool, log_y: bool) -> None:
    """Scales with plain numbers at their ticks."""
    for axis, scale, log in ((axes.xaxis, axes.set_xscale, log_x), (axes.yaxis, axes.set_yscale, log_y)):
        if log:
            scale("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=16))
            axis.set_minor_formatter(NullFormatter())
        else:
            axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter("{x:g}")
