"""A comparison in panels: loss differences against the reference, the losses themselves, and the LRs.

Where several optimizers are compared there are panels for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from lrctl.analysis.scales import lowest_of_decades
from lrctl.analysis.smoothing import SMOOTHING, smoothed
from lrctl.report import drawing
from lrctl.report.compare import Comparison
from lrctl.report.drawing import Look, Picture
from lrctl.report.palette import Palette
from lrctl.report.panels import Panel, Series, panels, smoothed_difference
from lrctl.report.told import tell_lines

PANEL = 52
"""Letters of a legend's line below a panel of its own."""

Means = dict[str, Series]
"""What each method's thick line shows, by its label."""

SETTLED = 0.1
"""The share of the run's first steps that does not decide the range of the loss axis: there losses differ most."""


def comparison_picture(comparison: Comparison) -> Picture:
    """All panels as one figure, for a file."""
    names = ", ".join(labels(comparison))
    row = panels(comparison)[0]
    words = " ".join(f"{words_of(row, part)}." for part in parts_of(row))
    return drawing.picture(
        lambda figure: paint(figure, comparison), "figure", f"Loss and LR of {names}", words, caption(comparison)
    )


def panel_pictures(comparison: Comparison) -> list[Picture]:
    """Each panel as a figure of its own, for a page on which they stand side by side or below each other."""
    names, looks = ", ".join(labels(comparison)), palette_of(comparison)
    return [
        drawing.picture(
            partial(paint_alone, panel=row, part=part, steps=comparison.result.steps, looks=looks),
            f"figure-{part}-{i}",
            f"{title_of(row, part)}: {names}",
            f"{words_of(row, part)}.",
            size=(5.2, 3.4 + 0.2 * drawing.legend_rows(row.labels, PANEL)),
        )
        for i, row in enumerate(panels(comparison))
        for part in parts_of(row)
    ]


def words_of(panel: Panel, part: str) -> str:
    if part == "difference":
        return f"Training loss minus that of {panel.reference.label}, by step, smoothed"
    return "Training loss by step, smoothed" if part == "loss" else "Learning rate by step"


def parts_of(panel: Panel) -> list[str]:
    return [part for part in PARTS if part != "difference" or len(panel.methods) > 1]


def labels(comparison: Comparison) -> list[str]:
    """Of all that is drawn."""
    return [method.label for method in (*comparison.methods, *comparison.plain)]


def palette_of(comparison: Comparison) -> Palette:
    drawn = labels(comparison)
    return Palette(drawn, comparison.reference.label if len(drawn) > 1 else "")


def caption(comparison: Comparison) -> str:
    several = any(len(method.curves) > 1 for method in comparison.methods)
    thick = " Thick lines are means, thin lines single seeds." * several
    if len(labels(comparison)) == 1:
        return f"The training loss after a Gaussian filter of 10 steps, and the LR of each step.{thick}"
    plain = " What is called plain was trained beside a search, without one." * bool(comparison.plain)
    rows = panels(comparison)
    minus = f"The training loss minus that of {comparison.reference.label}"
    if len(rows) > 1:
        minus = "For each optimizer: the training loss minus that of its reference"
    return (
        f"{minus} on the same seed, after a Gaussian filter of 10 steps; below 0 the method is ahead. Then the "
        f"training loss itself, and the LR of each step. The first steps and single seeds may leave the frame."
        f"{thick}{plain}"
    )


def paint(figure: Figure, comparison: Comparison) -> None:
    rows, looks = panels(comparison), palette_of(comparison)
    heights = [drawing.HEIGHT * (len(parts_of(row)) - 1) + 0.2 * drawing.legend_rows(row.labels) for row in rows]
    for part, panel in zip(drawing.stacked(figure, heights), rows, strict=True):
        paint_panel(part, panel, comparison.result.steps, looks)


def paint_panel(figure: SubFigure, panel: Panel, steps: int, looks: Palette) -> None:
    """The losses side by side, and the LRs beside or below them."""
    parts = parts_of(panel)
    places = [["loss", "lr"]] if len(parts) == 2 else [["difference", "loss"], ["lr", "lr"]]
    for part, axes in figure.subplot_mosaic(places).items():  # type: ignore[arg-type]
        paint_part(axes, panel, str(part), steps, looks)
    drawing.legend(figure, panel.labels, shown(panel, looks))


def paint_alone(figure: Figure, panel: Panel, part: str, steps: int, looks: Palette) -> None:
    paint_part(figure.subplots(), panel, part, steps, looks)
    drawing.legend(figure, panel.labels, shown(panel, looks), PANEL)


def shown(panel: Panel, looks: Palette) -> list[Look]:
    return looks.looks([method.label for method in panel.methods])


def title_of(panel: Panel, part: str) -> str:
    of = f", {panel.optimizer}" if panel.optimizer else ""
    return f"Train loss minus that of {panel.reference.label}" if part == "difference" else TITLES[part] + of


def paint_part(axes: Axes, panel: Panel, part: str, steps: int, looks: Palette) -> None:
    """A line for each method."""
    means = PARTS[part](axes, panel, shown(panel, looks))
    tell_lines(axes, "step {:g}".format, {label: dict(enumerate(mean.tolist())) for label, mean in means.items()})
    axes.set_title(title_of(panel, part), parse_math=False)
    axes.set(xlabel="step", xlim=(0, steps))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter("{x:g}")


def paint_difference(axes: Axes, panel: Panel, looks: Sequence[Look]) -> Means:
    means = {}
    for method, look in zip(panel.methods, looks, strict=True):
        apart = [smoothed_difference(curve, panel.reference) for curve in method.curves]
        if losses := [series for series in apart if series is not None]:
            means[method.label] = plot(axes, losses, look)
    axes.set_ylabel(f"smoothed, {SMOOTHING:g} steps")
    fit_losses(axes, [*means.values()])
    return means


def paint_losses(axes: Axes, panel: Panel, looks: Sequence[Look]) -> Means:
    means = {
        method.label: plot(axes, [smoothed(curve.losses) for curve in method.curves], look)
        for method, look in zip(panel.methods, looks, strict=True)
    }
    axes.set_ylabel(f"smoothed, {SMOOTHING:g} steps")
    if len(panel.methods) > 1:
        fit_losses(axes, [*means.values()])
    return means


def paint_lrs(axes: Axes, panel: Panel, looks: Sequence[Look]) -> Means:
    """On a logarithmic axis where they span decades; an LR of 0 has no place there."""
    found = [[curve.history["lr"] for curve in method.curves] for method in panel.methods]
    floor = lowest_of_decades(np.concatenate([lrs for each in found for lrs in each]).tolist())
    drawing.fit(axes, log_x=False, log_y=bool(floor))
    means = {
        method.label: plot(axes, [drawing.numbers(each.tolist(), log=bool(floor)) for each in lrs], look)
        for method, lrs, look in zip(panel.methods, found, looks, strict=True)
    }
    if floor:
        axes.set_ylim(bottom=floor / 1.5)
        axes.set_ylabel("logarithmic")
    elif axes.dataLim.ymin >= 0:  # that of a hypergradient may be negative
        axes.set_ylim(bottom=0)
    return means


PARTS = {"difference": paint_difference, "loss": paint_losses, "lr": paint_lrs}
TITLES = {"loss": "Train loss", "lr": "Learning rate"}


def plot(axes: Axes, series: Sequence[Series], look: Look) -> Series:
    """The mean over seeds, which it returns, and, with several, a thin line for each."""
    for each in series if len(series) > 1 else ():
        axes.plot(each, color=look["color"], linewidth=0.7, alpha=0.4)
    mean: Series = np.mean(series, axis=0)
    axes.plot(mean, **look)
    return mean


def fit_losses(axes: Axes, series: Sequence[Series]) -> None:
    """The range of the loss axis: that of the means but for their first steps, which may leave it."""
    settled = np.concatenate([each[int(SETTLED * len(each)) :] for each in series] or [np.zeros(1)])
    settled = settled[np.isfinite(settled)]
    low, high = min(settled, default=0.0), max(settled, default=0.0)
    room = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - room, high + room)
