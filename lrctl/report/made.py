"""A report of runs: what it says and where its files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrctl.contracts.table import Table
from lrctl.report import compare, files, tables
from lrctl.report.chosen import chosen
from lrctl.report.runs import Run, untrained


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was written.

    Attributes:
        document: the comparison as JSON values or, of runs in which nothing was trained, their names.
        tables: for people.
        files: where each is, by what it holds.
    """

    document: Mapping[str, Any]
    tables: Sequence[Table]
    files: Mapping[str, str]


def make(store: str | Path, runs: Sequence[str], against: str | None = None, out: Path | None = None) -> Made:
    """Write the report of the runs that are asked for; without any, of those that `chosen` finds."""
    names = chosen(store, runs)
    if against is None and (summed_up := untrained(store, names)):
        written = files.write_summary(summed_up, folder_of(summed_up, out))
        shown = [table for run in summed_up for table in tables.result_tables(run.result)]
        return Made({"runs": [run.name for run in summed_up]}, shown, written)
    found = compare.compare(store, names, against)
    return Made(found.to_json(), tables.comparison_tables(found), files.write(found, folder_of(found.runs, out)))


def folder_of(runs: Sequence[Run], out: Path | None) -> Path:
    return out or runs[0].finished.store.runs.report(runs[0].name)
