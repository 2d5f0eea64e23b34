"""A comparison as a figure: loss difference against the reference on the left, LR schedules on the right.

Where several optimizers are compared there is a row of both for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from lrctl.analysis.smoothing import SMOOTHING, smoothed
from lrctl.report import drawing
from lrctl.report.compare import Comparison, Method
from lrctl.report.curves import Curve
from lrctl.report.drawing import Look, Picture

Series = np.ndarray[Any, Any]

REFERENCE: Look = {"color": drawing.INK, "linestyle": "-", "linewidth": 1.2}

SETTLED = 0.1
"""The share of the run's first steps that does not decide the range of the loss axis: there losses differ most."""


@dataclass(frozen=True)
class Panel:
    """Methods that are drawn together: all, or those of one optimizer.

    Attributes:
        optimizer: empty where the panel holds all methods.
        reference: one of them, whose loss is subtracted from the others'.
    """

    optimizer: str
    methods: tuple[Method, ...]
    reference: Method

    @property
    def labels(self) -> list[str]:
        marked = self.reference if len(self.methods) > 1 else None
        return [method.label + " (reference)" * (method is marked) for method in self.methods]


def panels(comparison: Comparison) -> list[Panel]:
    """A panel for each optimizer where at least two have several methods, else one for all.

    The reference of a panel is that of the comparison if it is there, else the first method with a schedule of the same
    family, else the first.
    """
    by_optimizer: dict[str, list[Method]] = {}
    for method in comparison.methods:
        by_optimizer.setdefault(method.curves[0].optimizer, []).append(method)
    if sum(len(group) > 1 for group in by_optimizer.values()) < 2:
        return [Panel("", comparison.methods, comparison.reference)]
    family = comparison.reference.curves[0].entry.schedule.family

    def unlike(method: Method) -> tuple[bool, bool]:
        return (method is not comparison.reference, method.curves[0].entry.schedule.family != family)

    return [Panel(name, tuple(group), min(group, key=unlike)) for name, group in by_optimizer.items()]


def smoothed_difference(curve: Curve, reference: Method) -> Series | None:
    other = next((each for each in reference.curves if each.seed == curve.seed), None)
    if other is None:
        return None
    with np.errstate(invalid="ignore"):  # where both diverged
        return smoothed(curve.losses - other.losses)


def comparison_picture(comparison: Comparison) -> Picture:
    names = ", ".join(method.label for method in comparison.methods)
    references = " or ".join(panel.reference.label for panel in panels(comparison))
    left = f"Left: training loss minus that of {references}, by step, smoothed."
    words = f"{left} Right: learning rate by step."
    return drawing.picture(
        lambda figure: paint(figure, comparison), "figure", f"Loss and LR of {names}", words, _caption(comparison)
    )


def _caption(comparison: Comparison) -> str:
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


def paint(figure: Figure, comparison: Comparison) -> None:
    rows = panels(comparison)
    heights = [drawing.HEIGHT + 0.2 * drawing.legend_rows(panel.labels) for panel in rows]
    for part, panel in zip(drawing.stacked(figure, heights), rows, strict=True):
        paint_panel(part, panel, comparison.result.steps)


def paint_panel(figure: SubFigure, panel: Panel, steps: int) -> None:
    """A line for each method on both sides; the reference is drawn in ink."""
    left, right = figure.subplots(1, 2)
    alone, looks, means = len(panel.methods) == 1, [], []
    others = map(drawing.look_of, count())
    for method in panel.methods:
        looks.append(REFERENCE if method is panel.reference else next(others))
        apart = [smoothed(c.losses) if alone else smoothed_difference(c, panel.reference) for c in method.curves]
        if losses := [series for series in apart if series is not None]:
            means.append(plot(left, losses, looks[-1]))
        plot(right, [curve.history["lr"] for curve in method.curves], looks[-1])
    of = f", {panel.optimizer}" if panel.optimizer else ""
    left.set_title(
        "Train loss" + of if alone else f"Train loss minus that of {panel.reference.label}", parse_math=False
    )
    right.set_title("Learning rate" + of, parse_math=False)
    left.set_ylabel(f"smoothed, {SMOOTHING:g} steps")
    if not alone:
        fit_losses(left, means)
    if right.dataLim.ymin >= 0:  # that of a hypergradient may be negative
        right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set(xlabel="step", xlim=(0, steps))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.set_major_formatter("{x:g}")
    drawing.legend(figure, panel.labels, looks)


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
