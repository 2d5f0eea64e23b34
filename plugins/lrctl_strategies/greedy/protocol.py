"""The paper's protocol for GreedyLR: who is ahead at 10, 50 and 100 % of a run, counted over many runs.

Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section III, Tables II to X.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from lrctl.analysis.statistics import sign_test

STAGES = (0.1, 0.5, 1.0)
"""The shares of the run at which the losses are compared."""

LABELS = ("yes", "yes*", "no", "no*")
DNF = "DNF"
"""Did not finish: one of the two losses is not finite at that stage, which then counts for neither side."""


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


def minus(loss: float, other: float) -> float:
    """The difference of two losses; NaN where one is not finite."""
    return loss - other if math.isfinite(loss) and math.isfinite(other) else math.nan


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
