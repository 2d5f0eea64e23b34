"""A comparison as a figure: loss difference against the reference on the left, LR schedules on the right.

Where several optimizers are compared there is a row of both for each.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from lrctl.analysis.smoothing import SMOOTHING, smoothed
from lrctl.report.compare import Comparison, Method
from lrctl.report.curves import Curve
from lrctl.report.panels import Panel, panels

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase, SubFigure

    Series = np.ndarray[Any, Any]

INK = "#1b1e23"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b87a00", "#3a97d4")
"""Of Okabe and Ito, told apart by the colour-blind too; the last two are darker, to stand out from white."""

STYLES = ("-", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1.5, 1.5)))
"""As many as are told apart in print; with the colours, twelve lines look different."""

SETTLED = 0.1
"""The share of the run's first steps that does not decide the range of the loss axis: there losses differ most."""

LOOK: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
}

HEIGHT = 4.0
"""Of two panels in inches, without their legend; their width is 10."""


Look = dict[str, Any]
"""How a line is drawn: its colour, style and width."""


@dataclass(frozen=True)
class Picture:
    """A figure that was drawn, and how to read it."""

    name: str
    png: bytes
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Line:
    """One method in both panels: a series per seed. Without a reference on the same seed there is no difference."""

    label: str
    losses: tuple[Series, ...]
    lrs: tuple[Series, ...]
    look: Look


def against(curve: Curve, reference: Method) -> Series | None:
    """The smoothed difference of the training losses of a curve and of the reference with the same seed."""
    other = next((each for each in reference.curves if each.seed == curve.seed), None)
    if other is None:
        return None
    import numpy as np

    with np.errstate(invalid="ignore"):  # where both diverged
        return smoothed(curve.losses - other.losses)


def drawn(comparison: Comparison) -> Picture:
    """The figure; the same comparison always gives the same bytes."""
    png, svg = rendered(lambda figure: paint(figure, comparison), "figure")
    names = ", ".join(method.label for method in comparison.methods)
    references = " or ".join(panel.reference.label for panel in panels(comparison))
    left = f"Left: training loss minus that of {references}, by step, smoothed."
    svg = described(svg, f"Loss and LR of {names}", f"{left} Right: learning rate by step.")
    return Picture("figure", png, svg, caption(comparison))


def caption(comparison: Comparison) -> str:
    """How to read the figure."""
    several = any(len(method.curves) > 1 for method in comparison.methods)
    right = "Right: the LR of each step." + " Thick lines are means, thin lines single seeds." * several
    if not comparison.differences:
        return f"Left: the training loss after a Gaussian filter of 10 steps. {right}"
    rows = panels(comparison)
    left = f"Left: the training loss minus that of {comparison.reference.label}"
    if len(rows) > 1:
        left = "A row for each optimizer. Left: the training loss minus that of the row's reference"
    return (
        f"{left} on the same seed, after a Gaussian filter of 10 steps; below 0 the method is ahead. "
        f"The first steps and single seeds may leave the frame. {right}"
    )


def rendered(paint: Callable[[Figure], None], name: str) -> tuple[bytes, str]:
    """A figure as PNG and as SVG; what is painted alike always gives the same bytes.

    The name tells the parts of figures on one page apart.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK | {"svg.hashsalt": f"lrctl {name}"}), quiet():
        figure = Figure(figsize=(10, HEIGHT), layout="constrained")
        paint(figure)
        png, svg = BytesIO(), BytesIO()
        figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
        figure.set_layout_engine("none")  # it stays as it was laid out: doing it again takes as long as drawing
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue().decode()


@contextmanager
def quiet() -> Iterator[None]:
    """Text in a script that the font lacks is no reason to warn: the SVG and the tables have it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def paint(figure: Figure, comparison: Comparison) -> None:
    """A row for each panel, one below the other; the figure grows with them and with their legends."""
    found = panels(comparison)
    heights = [HEIGHT + 0.2 * legend_rows([each.label for each in lines(panel)]) for panel in found]
    for row, panel in zip(stacked(figure, heights), found, strict=True):
        paint_panel(row, panel, comparison.result.steps)


def stacked(figure: Figure, heights: Sequence[float]) -> Sequence[SubFigure]:
    """Parts of a figure one below the other, each of its height in inches."""
    figure.set_figheight(sum(heights))
    return [*figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]]


def paint_panel(figure: SubFigure, panel: Panel, steps: int) -> None:
    """Losses on the left, LRs on the right, and one legend below them."""
    from matplotlib.ticker import MaxNLocator

    left, right = figure.subplots(1, 2)
    drawn = lines(panel)
    for each in drawn:
        plot(left, each.losses, each.look)
        plot(right, each.lrs, each.look)
    alone = len(drawn) == 1
    of = f", {panel.optimizer}" if panel.optimizer else ""
    left.set_title(
        "Train loss" + of if alone else f"Train loss minus that of {panel.reference.label}", parse_math=False
    )
    right.set_title("Learning rate" + of, parse_math=False)
    left.set_ylabel(f"smoothed, {SMOOTHING:g} steps")
    if not alone:
        frame(left, [mean(each.losses) for each in drawn if each.losses])
    if right.dataLim.ymin >= 0:  # that of a hypergradient may be negative
        right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set(xlabel="step", xlim=(0, steps))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter("{x:g}")
    legend(figure, [each.label for each in drawn], [each.look for each in drawn])


def lines(panel: Panel) -> list[Line]:
    """A line for each method; the reference is drawn in ink."""
    others = [each for each in panel.methods if each is not panel.reference]
    places = {id(method): place for place, method in enumerate(others)}
    return [line(panel, method, places.get(id(method))) for method in panel.methods]


def line(panel: Panel, method: Method, place: int | None) -> Line:
    """A method's series and its look, by its place among those that are not the reference."""
    if len(panel.methods) == 1:
        losses = [smoothed(curve.losses) for curve in method.curves]
    else:
        found = [against(curve, panel.reference) for curve in method.curves]
        losses = [series for series in found if series is not None]
    look = {"color": INK, "linestyle": "-", "linewidth": 1.2} if place is None else look_of(place)
    label = method.label + (" (reference)" if place is None and len(panel.methods) > 1 else "")
    return Line(label, tuple(losses), tuple(curve.history["lr"] for curve in method.curves), look)


def look_of(place: int) -> Look:
    """The look of the line at this place, from 0; from the thirteenth on they are thinner."""
    width = 1.8 if place < math.lcm(len(COLOURS), len(STYLES)) else 1.0
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place % len(STYLES)], "linewidth": width}


def plot(axes: Axes, series: Sequence[Series], look: Look) -> None:
    """The mean over seeds, and, with several, a thin line for each."""
    for each in series if len(series) > 1 else ():
        axes.plot(each, color=look["color"], linewidth=0.7, alpha=0.4)
    if series:
        axes.plot(mean(series), **look)


def mean(series: Sequence[Series]) -> Series:
    """The mean over seeds; NaN where a seed's is."""
    import numpy as np

    found: Series = np.mean(series, axis=0)
    return found


def frame(axes: Axes, series: Sequence[Series]) -> None:
    """The range of the loss axis: that of the means but for their first steps, which may leave it."""
    import numpy as np

    settled = np.concatenate([each[int(SETTLED * len(each)) :] for each in series] or [np.zeros(1)])
    settled = settled[np.isfinite(settled)]
    low, high = min(settled, default=0.0), max(settled, default=0.0)
    room = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - room, high + room)


def legend_columns(labels: Sequence[str]) -> int:
    """How many labels have room beside each other."""
    return max(1, min(len(labels), 120 // (max(map(len, labels)) + 8)))


def legend_rows(labels: Sequence[str]) -> int:
    """How many lines of text the legend takes."""
    return math.ceil(len(labels) / legend_columns(labels))


def legend(figure: FigureBase, labels: Sequence[str], looks: Sequence[Look]) -> None:
    """One legend below what is drawn; labels are shown as they are, not as formulas."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **look) for look in looks]
    found = figure.legend(
        handles, ["-"] * len(labels), loc="outside lower center", ncols=legend_columns(labels), handlelength=3.2
    )
    for text, label in zip(found.get_texts(), labels, strict=True):
        text.set(text=label, parse_math=False)


def described(svg: str, title: str, description: str) -> str:
    """The SVG with a title and a description, for those who do not see it."""
    from html import escape

    told = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + told, svg, count=1)
