"""The numbers that a paper prints, and ours beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from lrctl.contracts.chart import Chart, Series, stem
from lrctl.contracts.table import Table
from lrctl.papers.experiments import Experiment, Scale
from lrctl.papers.reproduce import Reproduced

ORDERED = 3
"""With fewer cells than these, to compare orders says nothing."""


def side_by_side_table(experiments: Sequence[Experiment], cells: Sequence[Reproduced], scale: Scale) -> Table:
    """A row for each cell of experiments of one table, two columns for each number."""
    first = experiments[0]
    notes = [f"Recipe{'s' * (len(experiments) > 1)} {', '.join(each.recipe for each in experiments)}."]
    if scale == "tiny" and first.tiny.recipe != first.recipe:
        notes.append(
            f"Ours are of the same protocol on the recipe {first.tiny.recipe}, with another model and other data: "
            "only the order within a column can be compared."
        )
    if any(each.cell.printed for each in cells):
        columns = [head for name in first.columns for head in (f"{name}, printed", f"{name}, ours")]
        notes += agreements(first, cells)
    else:
        columns = list(first.columns)
        notes.append("The paper's own numbers are not known here.")
    rows = (row(first, each, printed=len(columns) > len(first.columns)) for each in cells)
    return Table(first.table, (" ", *columns), tuple(rows), tuple(notes))


def row(experiment: Experiment, cell: Reproduced, *, printed: bool) -> tuple[str, ...]:
    """A cell's numbers, each as the paper prints it and ours; or ours alone."""
    texts = [cell.cell.label]
    for name, path in experiment.columns.items():
        texts += [_as_text(cell.cell.printed.get(name, ""))] * printed
        texts.append(cell.failure or _as_text(cell.column(name, path)))
    return tuple(texts)


def _as_text(value: Any) -> str:
    if value is None:
        return "not finite"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def agreements(experiment: Experiment, cells: Sequence[Reproduced]) -> Iterator[str]:
    """For each column of losses: which cell is the lowest, printed and ours, and how well the orders agree."""
    if any(each.cell.columns for each in cells):
        return
    for name, path in experiment.columns.items():
        both = [(finite(e.cell.printed.get(name)), finite(e.column(name, path)), e.cell.label) for e in cells]
        known = [(printed, ours, label) for printed, ours, label in both if printed is not None and ours is not None]
        if len(known) >= ORDERED:
            tau = kendall([printed for printed, _, _ in known], [ours for _, ours, _ in known])
            yield (
                f"Lowest {name}: {min(known)[2]} as printed, {min(known, key=lambda each: each[1])[2]} here; "
                f"Kendall's tau of the {len(known)} cells is {tau:+.2f}."
            )


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's tau-b: 1 for the same order, -1 for the opposite one; 0 where one side is all equal."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(a, b).statistic)
    return tau if math.isfinite(tau) else 0.0


def side_by_side_chart(experiment: Experiment, cells: Sequence[Reproduced]) -> list[Chart]:
    """The printed numbers and ours over the cells; no chart where nothing is printed."""
    x = tuple(map(float, range(len(cells))))
    series = []
    for name, path in experiment.columns.items():
        printed = tuple(finite(each.cell.printed.get(name)) for each in cells)
        if any(value is not None for value in printed):
            ours = tuple(finite(each.column(name, path)) for each in cells)
            series += [Series(f"{name}, printed", x, printed), Series(f"{name}, ours", x, ours)]
    if not series:
        return []
    name, caption, ticks = stem(experiment.recipe), "The numbers of the table above.", [e.cell.label for e in cells]
    return [Chart(name, experiment.table, "lines", "", "", caption, tuple(series), ticks=tuple(ticks))]


def finite(value: Any) -> float | None:
    """A finite number; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None
