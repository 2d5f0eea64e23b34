"""A comparison as a figure: loss difference against the reference on the left, LR schedules on the right."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from lrctl.report.compare import Comparison, Method
from lrctl.report.curves import Curve
from lrctl.smoothing import SMOOTHING, smoothed

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    "svg.hashsalt": "lrctl",
}


@dataclass(frozen=True)
class Line:
    """One method in both panels: a series per seed. Without a reference on the same seed there is no difference."""

    label: str
    losses: tuple[Series, ...]
    lrs: tuple[Series, ...]
    look: dict[str, Any]


def against(curve: Curve, reference: Method) -> Series | None:
    """The smoothed difference of the training losses of a curve and of the reference with the same seed."""
    other = next((each for each in reference.curves if each.seed == curve.seed), None)
    return None if other is None else smoothed(curve.losses - other.losses)


def drawn(comparison: Comparison) -> tuple[bytes, str]:
    """The figure as PNG and as SVG; the same comparison always gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK), quiet():
        figure = Figure(figsize=(10, 4), layout="constrained")
        paint(figure, comparison)
        png, svg = BytesIO(), BytesIO()
        figure.savefig(png, format="png", dpi=200, metadata={"Software": None})
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return png.getvalue(), described(svg.getvalue().decode(), comparison)


@contextmanager
def quiet() -> Iterator[None]:
    """Text in a script that the font lacks is no reason to warn: the SVG and the tables have it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def paint(figure: Figure, comparison: Comparison) -> None:
    """Both panels and one legend below them."""
    from matplotlib.ticker import MaxNLocator

    left, right = figure.subplots(1, 2)
    lines = [line(comparison, method) for method in comparison.methods]
    for each in lines:
        plot(left, each.losses, each.look)
        plot(right, each.lrs, each.look)
    alone = len(lines) == 1
    left.set_title(
        "Train loss" if alone else f"Train loss minus that of {comparison.reference.label}", parse_math=False
    )
    right.set_title("Learning rate")
    left.set_ylabel(f"smoothed, {SMOOTHING:g} steps")
    if not alone:
        frame(left, [mean(each.losses) for each in lines if each.losses])
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set(xlabel="step", xlim=(0, comparison.document["steps"]))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter("{x:g}")
    legend(figure, lines)


def line(comparison: Comparison, method: Method) -> Line:
    """A method's series and its look; the reference is drawn in ink."""
    others = [each for each in comparison.methods if each is not comparison.reference]
    place = others.index(method) if method in others else None
    if len(comparison.methods) == 1:
        losses = [smoothed(curve.losses) for curve in method.curves]
    else:
        found = [against(curve, comparison.reference) for curve in method.curves]
        losses = [series for series in found if series is not None]
    look = {"color": INK, "linestyle": "-", "linewidth": 1.2}
    if place is not None:
        look = {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place % len(STYLES)], "linewidth": 1.8}
    label = method.label + (" (reference)" if place is None and others else "")
    return Line(label, tuple(losses), tuple(curve.history["lr"] for curve in method.curves), look)


def plot(axes: Axes, series: Sequence[Series], look: dict[str, Any]) -> None:
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


def legend(figure: Figure, lines: Sequence[Line]) -> None:
    """One legend below both panels, for which the figure grows; labels are shown as they are, not as formulas."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **each.look) for each in lines]
    widest = max(len(each.label) for each in lines)
    columns = max(1, min(len(lines), 120 // (widest + 8)))
    figure.set_figheight(4 + 0.2 * math.ceil(len(lines) / columns))
    found = figure.legend(handles, ["-"] * len(lines), loc="outside lower center", ncols=columns, handlelength=3.2)
    for text, each in zip(found.get_texts(), lines, strict=True):
        text.set(text=each.label, parse_math=False)


def described(svg: str, comparison: Comparison) -> str:
    """The SVG with a title and a description, for those who do not see it."""
    from html import escape

    names = ", ".join(method.label for method in comparison.methods)
    title = f"<title>Loss and LR of {escape(names)}</title>"
    desc = (
        f"<desc>Left: training loss minus that of {escape(comparison.reference.label)}, by step, smoothed. "
        "Right: learning rate by step.</desc>"
    )
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + title + desc, svg, count=1)
