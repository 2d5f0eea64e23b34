"""The rows of `lrctl runs`: which of them, in what order, and as a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from lrctl.analysis.units import size

if TYPE_CHECKING:
    from lrctl.storage.store import Store

SORTED_BY = Literal["date", "name", "command", "seed", "test-loss", "validation-loss", "full-runs", "size"]

ORDERS: tuple[str, ...] = get_args(SORTED_BY)

KEYS = {"name": "run", "test-loss": "test_loss", "validation-loss": "validation_loss", "full-runs": "full_runs"} | {
    "size": "bytes"
}
"""What runs are sorted by, where it has another name in a row."""


SPARED = ("disk", "steps", "train loss", "validation loss", "workload", "seed", "full runs", "date", "command")
"""The columns that a narrow terminal goes without, in this order."""


def rows_of(
    place: Store,
    sort: SORTED_BY | None,
    *,
    reverse: bool = False,
    command: str | None = None,
    recipe: str | None = None,
    label: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of the runs that are asked for; those that have nothing to be sorted by stand last."""
    from lrctl.storage import listing
    from lrctl.storage.labels import labels

    wanted = trains(place, recipe) if recipe else lambda _: True
    rows = [row | {"labels": labels(place, row["run"])} for row in listing.runs(place)]
    rows = [
        row
        for row in rows
        if command in (None, row["command"]) and (label is None or label in row["labels"]) and wanted(row["run"])
    ]
    by = KEYS.get(sort or "date", sort or "date")
    known = sorted((row for row in rows if is_told(row[by])), key=lambda row: row[by], reverse=reverse)
    return known + [row for row in rows if not is_told(row[by])]


def is_told(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def trains(place: Store, recipe: str) -> Callable[[str], bool]:
    """Whether a run trained what a recipe trains, for as many steps."""
    from lrctl.contracts.canonical import listed
    from lrctl.recipe import parse as recipes

    read = recipes.read(recipe, allow_code=True)  # which runs none: its workload is not built
    workload = listed({"name": read.workload.name.rpartition(":")[2], **read.workload.changed})

    def same(name: str) -> bool:
        known = place.runs.identity(name)
        return known is not None and (known.workload, known.steps) == (workload, read.training.steps)

    return same


def table(rows: list[dict[str, Any]]) -> Any:
    from lrctl.contracts.table import Table
    from lrctl.storage.run_result import LOSSES

    formats = dict.fromkeys(("command", "workload", "seed", "steps"), "")
    formats |= dict.fromkeys(LOSSES, ".4f") | {"full_runs": ".1f"}
    labelled = any(row["labels"] for row in rows)

    def cells(row: dict[str, Any]) -> tuple[str, ...]:
        facts = ("" if row[name] is None else format(row[name], spec) for name, spec in formats.items())
        last = (row["date"][:16].replace("T", " "), size(row["bytes"]), *[",".join(row["labels"])][:labelled])
        return (row["run"], row["status"], *facts, *last)

    names = (name.replace("_", " ") for name in formats)
    columns = ("run", "state", *names, "date", "disk", *["labels"][:labelled])
    return Table("Runs", columns, tuple(map(cells, rows)))
