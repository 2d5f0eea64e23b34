"""Rows of the GreedyLR protocol as CSV: what the paper printed, or what a run of one's own has recorded."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

from lrctl.errors import UsageError
from lrctl_strategies.greedy.protocol import DNF, LABELS, STAGES, Row, label

BEATS = tuple(f"beat{100 * stage:.0f}" for stage in STAGES)
DELTAS = tuple(f"delta{100 * stage:.0f}" for stage in STAGES)
DELTA = "delta"
MORE = "\0more"
"""Where cells beyond the header are put."""


def parse(text: str, margin: float) -> list[Row]:
    """The rows of a CSV file with a header.

    Either `beat10`, `beat50`, `beat100` (Yes, Yes*, No, No*, DNF, in any case) and `delta`, the final one; or
    `delta10`, `delta50`, `delta100`, from which the labels are made with the margin. A delta is the other's loss minus
    GreedyLR's; empty stands for a run that did not finish. All other columns tell the rows apart.

    Raises:
        UsageError: a column is missing, or a cell holds something else; names the line.
    """
    reader = csv.DictReader(io.StringIO(text), restkey=MORE)
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    labelled = {*BEATS, DELTA} <= set(columns)
    if not labelled and not set(DELTAS) <= set(columns):
        raise UsageError(
            f"--from-csv: the columns must hold {', '.join((*BEATS, DELTA))}, or {', '.join(DELTAS)}; "
            f"got {', '.join(columns) or 'none'}"
        )
    read = printed if labelled else measured
    rows = [read(whole(cells, line := f"--from-csv: line {reader.line_num}"), line, margin) for cells in reader]
    if not rows:
        raise UsageError("--from-csv: there are no rows below the header")
    return rows


def whole(cells: dict[str, str], where: str) -> dict[str, str]:
    if MORE in cells or None in cells.values():
        raise UsageError(f"{where}: must have as many cells as the header, {len(cells.keys() - {MORE})}")
    return cells


def printed(cells: Mapping[str, str], where: str, _margin: float) -> Row:
    beats = tuple(cells[name].strip() for name in BEATS)
    known = {each.lower(): each for each in (*LABELS, DNF)}
    for name, word in zip(BEATS, beats, strict=True):
        if word.lower() not in known:
            raise UsageError(f"{where}: {name}: must be one of {', '.join((*LABELS, DNF))}, got {word!r}")
    delta = number(cells, DELTA, where)
    labels = tuple(known[word.lower()] for word in beats)
    if (labels[-1] == DNF) != math.isnan(delta):
        raise UsageError(
            f"{where}: {BEATS[-1]} is {beats[-1]!r}, so {DELTA} must {'not ' * (labels[-1] == DNF)}be given"
        )
    if labels[-1] != DNF and labels[-1].startswith("yes") != (delta > 0):
        raise UsageError(
            f"{where}: {BEATS[-1]} is {beats[-1]!r}, but {DELTA}, the other's loss minus GreedyLR's, is {delta:g}"
        )
    return Row(labels, delta, about(cells))


def measured(cells: Mapping[str, str], where: str, margin: float) -> Row:
    deltas = [number(cells, name, where) for name in DELTAS]
    return Row(tuple(label(delta, margin) for delta in deltas), deltas[-1], about(cells))


def number(cells: Mapping[str, str], name: str, where: str) -> float:
    """A cell as a finite number; NaN where it is empty."""
    cell = cells[name].strip()
    try:
        value = float(cell) if cell else math.nan
    except ValueError as error:
        raise UsageError(f"{where}: {name}: must be a number or empty, got {cell!r}") from error
    return value if math.isfinite(value) else math.nan


def about(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in cells.items() if name and name not in (*BEATS, DELTA, *DELTAS)}
