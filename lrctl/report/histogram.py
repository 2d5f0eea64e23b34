"""The histogram of a run's comparisons as a figure: how often each final delta came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrctl.report.curves import Run
from lrctl.report.figures import COLOURS, HEIGHT, INK, described, rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Histogram = Mapping[str, Sequence[float]]


def histograms(runs: Sequence[Run]) -> dict[str, Histogram]:
    """The histogram in the summary of each run that has one, by the run's name: `edges`, and a count between each two.

    One in which nothing was counted is left out.
    """
    summaries: dict[str, Any] = {run.name: run.finished.document.get("summary") for run in runs}
    found = {name: each.get("histogram") for name, each in summaries.items() if isinstance(each, Mapping)}
    return {name: histogram for name, histogram in found.items() if histogram and histogram["counts"]}


def drawn(found: Mapping[str, Histogram]) -> tuple[bytes, str]:
    """Histograms one below the other as PNG and as SVG; the same ones always give the same bytes."""
    png, svg = rendered(lambda figure: paint(figure, found), "histogram")
    told = "; ".join(
        f"{name}: " + ", ".join(f"{count:g} from {low:g} to {high:g}" for low, high, count in bins(histogram) if count)
        for name, histogram in found.items()
    )
    return png, described(svg, f"Final deltas of {', '.join(found)}", told)


def bins(histogram: Histogram) -> list[tuple[float, float, float]]:
    """Each bin's ends and its count."""
    edges = histogram["edges"]
    return list(zip(edges, edges[1:], histogram["counts"], strict=False))


def paint(figure: Figure, found: Mapping[str, Histogram]) -> None:
    """A panel for each run."""
    figure.set_figheight(HEIGHT * 0.8 * len(found))
    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for axes, (name, histogram) in zip(panels, found.items(), strict=True):
        paint_panel(axes, histogram)
        axes.set_title("Final deltas" + (f" of {name}" if len(found) > 1 else ""), parse_math=False)


def paint_panel(axes: Axes, histogram: Histogram) -> None:
    """A bar for each bin, and a line at 0, where both sides are equal."""
    from matplotlib.ticker import MaxNLocator

    for low, high, count in bins(histogram):
        gap = 0.04 * (high - low)
        axes.bar(low + gap, count, high - low - 2 * gap, align="edge", color=COLOURS[0 if low >= 0 else 1])
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.set(xlabel="delta", ylabel="comparisons")
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
