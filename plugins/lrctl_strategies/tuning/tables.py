"""What people are shown of schedules that were tuned or fitted, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from lrctl.contracts.axes import Fixed
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl.contracts.table import Table, number
from lrctl.registry.registry import registry


def best_of_each(entries: Sequence[TrainedRun], notes: Sequence[str] = ()) -> Table:
    """The schedules that a search ended with, best first: a row per entry of its results."""
    columns = ("schedule", "parameters", "train loss", "validation loss", "test loss", "tuning runs")
    rows = (
        (
            entry.name,
            " ".join(f"{name}={setting(value)}" for name, value in telling(entry.schedule)),
            *map(number, (entry.train_loss, entry.validation_loss, entry.test_loss)),
            f"{entry.full_runs:g}",
        )
        for entry in entries
    )
    given = any(entry.given for entry in entries)
    cost = "Tuning runs: full runs of its grid search" + ", without what led to the schedule that was given" * given
    return Table("The best of each schedule", columns, tuple(rows), (f"{cost}.", *notes))


def telling(schedule: ScheduleRecord) -> Iterator[tuple[str, Any]]:
    """What tells a schedule from others of its family: its LRs and shares, and all else that is not at its default.

    Lists are left out, but for knots, which are told by their peak.
    """
    declared = fields_of(registry().get("schedule", schedule.family).target)
    defaults = {field.name: field.default for field in declared if field.default is not MISSING}
    fixed = {field.name for field in declared if Fixed() in field.marks}
    for name, value in schedule.params.items():
        if name == "knots":
            yield "peak_lr", float(max(lr for _, lr in value))
        elif (isinstance(value, float) and name not in fixed) or (
            isinstance(value, float | int | str) and value != defaults.get(name, value)
        ):
            yield name, value


def closed_forms(fits: Sequence[Mapping[str, Any]]) -> Table:
    """The families fitted to a schedule, the best first: a row per family."""
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


def setting(value: Any) -> str:
    """A parameter's value, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
