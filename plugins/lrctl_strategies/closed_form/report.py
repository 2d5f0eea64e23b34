"""Fits as JSON, and what people are shown of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrctl.contracts.schedule import params_of
from lrctl.contracts.table import Table
from lrctl_strategies.closed_form.fitting import Fit
from lrctl_strategies.tuning.side_by_side import setting


def entry(fitted: Fit) -> dict[str, Any]:
    return {
        "family": fitted.family,
        "params": params_of(fitted.schedule),
        "error": fitted.error,
        "parameters": len(fitted.parameters),
        "fitted": list(fitted.parameters),
    }


def closed_forms(fits: Sequence[Mapping[str, Any]]) -> Table:
    predicted = any("bound" in entry for entry in fits)
    rows = (
        (
            entry["family"],
            *([f"{entry['bound']:.4f}"] if predicted else []),
            f"{entry['error']:.4f}",
            str(entry["parameters"]),
            " ".join(f"{name}={setting(entry['params'][name])}" for name in entry["fitted"]),
        )
        for entry in fits
    )
    notes = [
        "Error: the root mean square of the difference over that of the schedule itself; 0 is the same schedule.",
        "Each fitted parameter makes it smaller, which says nothing of how well the schedule trains.",
    ]
    if predicted:
        notes += [
            "Bound: from convex optimisation, at the shape's best peak_lr, over that of the schedule itself; below 1",
            "predicts a better shape. Deep networks are not convex: it is a guess.",
        ]
    columns = ("family", *(["bound"] if predicted else []), "error", "parameters", "fitted")
    return Table("Closed forms of the schedule", columns, tuple(rows), tuple(notes))
