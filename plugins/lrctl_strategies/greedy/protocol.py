"""The paper's protocol for GreedyLR: who is ahead at 10, 50 and 100 % of a run, counted over many runs.

Its rows may come from a CSV file: what the paper printed, or what a run of one's own has recorded.

Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section III, Tables II to X.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from lrctl.analysis.statistics import sign_test
from lrctl.errors import UsageError

STAGES = (0.1, 0.5, 1.0)
"""The shares of the run at which the losses are compared."""

LABELS = ("yes", "yes*", "no", "no*")
DNF = "DNF"
"""Did not finish: one of the two losses is not finite at that stage, which then counts for neither side."""

BEATS = tuple(f"beat{100 * stage:.0f}" for stage in STAGES)
DELTAS = tuple(f"delta{100 * stage:.0f}" for stage in STAGES)
DELTA = "delta"

LARGEST = 1e300
"""Of a difference of losses: sums of larger ones may be more than a float can hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """GreedyLR against one other schedule, in one run each.

    Attributes:
        beats: whether GreedyLR is ahead at each stage: yes, no, both starred where the losses are about equal, or DNF.
        delta: the other's final loss minus GreedyLR's, above 0 where GreedyLR is better; NaN if one did not finish.
        about: what tells the row apart: optimizer, schedule, seed and so on.
    """

    beats: tuple[str, ...]
    delta: float
    about: Mapping[str, Any]


def label(delta: float, margin: float) -> str:
    """What a difference of losses (the other's minus GreedyLR's) is called; equal losses are `no*`.

    >>> [label(delta, 0.1) for delta in (0.2, 0.1, 0.05, -0.05, -0.2, float("nan"))]
    ['yes', 'yes', 'yes*', 'no*', 'no', 'DNF']
    """
    if not math.isfinite(delta):
        return DNF
    return ("yes" if delta > 0 else "no") + "*" * (abs(delta) < margin)


def summed_up(rows: Sequence[Row], margin: float) -> dict[str, Any]:
    """The paper's Tables II, III and IV and figure 1, from the rows. Shares are in percent of the labels.

    A stage has a label where both losses are finite; a run that did not finish keeps those of the stages it reached.

    `overall` is over the labels of all stages: `as_good_or_better` all but no, `better` yes and yes*, `as_good` both
    starred ones, `clearly_better` yes, `worse` no. `final` is the same at 100 %, where `sign_test` is the two-sided p
    of the hypothesis that either side is as likely to be ahead. `delta` is of the final losses.
    """
    stages = [[row.beats[i] for row in rows if row.beats[i] != DNF] for i in range(len(STAGES))]
    labels = [each for stage in stages for each in stage]
    deltas = [row.delta for row in rows if math.isfinite(row.delta)]
    ahead, behind = sum(d > 0 for d in deltas), sum(d < 0 for d in deltas)
    return {
        "rows": len(rows),
        "did_not_finish": sum(row.beats[-1] == DNF for row in rows),
        "margin": margin,
        "counts": {name: labels.count(name) for name in LABELS} | {"sum": len(labels)},
        "overall": shares(labels),
        "final": shares(stages[-1])
        | {"ahead": ahead, "behind": behind, "sign_test": sign_test(ahead, behind) if ahead + behind else None},
        "as_good_or_better_by_stage": [shares(stage)["as_good_or_better"] for stage in stages],
        "delta": {
            "within_margin": sum(abs(d) < margin for d in deltas),
            "mean": fmean(deltas) if deltas else None,
            "median": median(deltas) if deltas else None,
            "max_benefit": max(deltas, default=None),
            "max_deficit": min(deltas, default=None),
        },
        "histogram": histogram(deltas),
    }


def shares(labels: Sequence[str]) -> dict[str, float | None]:
    """Shares of sets of labels in percent; None where there are no labels."""
    sets = {
        "as_good_or_better": ("yes", "yes*", "no*"),
        "better": ("yes", "yes*"),
        "clearly_better": ("yes",),
        "as_good": ("yes*", "no*"),
        "worse": ("no",),
    }
    return {
        name: 100 * sum(each in which for each in labels) / len(labels) if labels else None
        for name, which in sets.items()
    }


def histogram(deltas: Sequence[float]) -> dict[str, list[Any]]:
    """Counts of the deltas in bins of a round width (1, 2 or 5 times a power of 10), one of which begins at 0.

    >>> histogram([-0.1, 0.0, 0.02, 0.3])
    {'edges': [-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35], 'counts': [1, 0, 2, 0, 0, 0, 0, 0, 1]}
    """
    if not deltas:
        return {"edges": [], "counts": []}
    # No narrower than what six digits tell apart.
    widest = max(max(deltas) - min(deltas), 1e-3 * max(map(abs, deltas)), 1e-6)
    power = 10.0 ** math.floor(math.log10(widest / 20))
    width = next(power * factor for factor in (1, 2, 5, 10, 20) if widest / (power * factor) <= 15)
    # A delta on an edge belongs to the bin that begins there, whatever the division's last bit says.
    bins = [math.floor(round(delta / width, 9)) for delta in deltas]
    span = range(min(bins), max(bins) + 1)
    return {
        "edges": [float(f"{i * width:.6g}") for i in (*span, max(bins) + 1)],
        "counts": [bins.count(i) for i in span],
    }


def parse(text: str, margin: float) -> list[Row]:
    """The rows of a CSV file with a header.

    Either `beat10`, `beat50`, `beat100` (Yes, Yes*, No, No*, DNF, in any case) and `delta`, the final one; or
    `delta10`, `delta50`, `delta100`, from which the labels are made with the margin. A delta is the other's loss minus
    GreedyLR's; empty stands for a run that did not finish. All other columns tell the rows apart.
    """
    reader = csv.DictReader(io.StringIO(text))
    columns = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = columns
    labelled = {*BEATS, DELTA} <= set(columns)
    if not labelled and not set(DELTAS) <= set(columns):
        raise UsageError(
            f"--from-csv: the columns must hold {', '.join((*BEATS, DELTA))}, or {', '.join(DELTAS)}; "
            f"got {', '.join(columns) or 'none'}"
        )
    rows = []
    for cells in reader:
        line = f"--from-csv: line {reader.line_num}"
        if None in cells or None in cells.values():
            raise UsageError(f"{line}: must have as many cells as the header, {len(cells.keys() - {None})}")
        rows.append(printed(cells, line) if labelled else measured(cells, line, margin))
    if not rows:
        raise UsageError("--from-csv: there are no rows below the header")
    return rows


def printed(cells: Mapping[str, str], where: str) -> Row:
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
    """A cell as a number whose sums are finite; NaN where it is empty or not finite, as of a run that diverged."""
    cell = cells[name].strip()
    try:
        value = float(cell) if cell else math.nan
    except ValueError as error:
        raise UsageError(f"{where}: {name}: must be a number or empty, got {cell!r}") from error
    if LARGEST < abs(value) < math.inf:
        raise UsageError(f"{where}: {name}: must be at most {LARGEST:g} either way, got {cell}")
    return value if math.isfinite(value) else math.nan


def about(cells: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in cells.items() if name and name not in (*BEATS, DELTA, *DELTAS)}
