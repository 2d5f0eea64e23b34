"""What people are shown of schedules that were tuned, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING
from typing import Any

from lrctl.contracts.axes import Fixed
from lrctl.contracts.params import fields_of
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import TrainedRun
from lrctl.contracts.table import Table, number
from lrctl.registry.registry import registry


def best_of_each(entries: Sequence[TrainedRun], notes: Sequence[str] = ()) -> Table:
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


def setting(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
