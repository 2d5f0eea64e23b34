"""The commands that look at finished runs: `lrctl compare`, `lrctl report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrctl.cli.ending import reported
from lrctl.cli.searches import STORE

if TYPE_CHECKING:
    from lrctl.report.curves import Run

Runs = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Names of finished runs, such as semilocal-1fc7dd98.")
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL|RUN",
        help="Compare with this method of the table, or with what this run found. "
        "Default: the tuned wsd, else the best baseline, else the first.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Where = Annotated[Path, typer.Option("--store", envvar="LRCTL_STORE", file_okay=False, help="Where results are kept.")]
Out = Annotated[
    Path | None, typer.Option(file_okay=False, help="Folder for the files. Default: report/ in the first run's folder.")
]


@reported()
def compare(runs: Runs, against: Against = None, as_json: AsJson = False, store: Where = STORE) -> None:
    """Compare finished runs: losses, cost, and paired statistics over seeds.

    Runs that differ in their seed alone are one method; its test loss is compared with the reference's, seed by seed.

    The verdict is that of a paired t test at the 5 % level, with Holm's correction over the methods.

    Over a few seeds the 95 % interval is wide, and one seed says nothing.
    """
    from lrctl.report import compare, tables, terminal

    found = compare.compare(store, runs, against)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1, allow_nan=False))
    else:
        terminal.print_tables(tables.comparison_tables(found))


@reported()
def report(runs: Runs, against: Against = None, out: Out = None, as_json: AsJson = False, store: Where = STORE) -> None:
    """Compare finished runs, and write figures, the curves as CSV, and one HTML page that works offline.

    The tables are those of `lrctl compare`.

    The figure shows each method's smoothed training loss minus the reference's, beside the LR schedules.

    Of runs in which nothing was trained it has what they sum up.
    """
    from lrctl.report import compare, curves, files, tables, terminal

    if against is None and (summed_up := curves.untrained(store, runs)):
        written = files.write_summary(summed_up, folder_of(summed_up, out))
        shown = [table for run in summed_up for table in tables.of_document(run.finished.document)]
        document: dict[str, Any] = {"runs": [run.name for run in summed_up]}
    else:
        found = compare.compare(store, runs, against)
        written = files.write(found, folder_of(found.runs, out))
        shown, document = tables.comparison_tables(found), found.to_json()
    if as_json:
        typer.echo(json.dumps(document | {"files": written}, indent=1, allow_nan=False))
    else:
        terminal.print_tables(shown)
    for path in written.values():
        typer.echo(f"wrote {path}", err=True)


def folder_of(runs: Sequence[Run], out: Path | None) -> Path:
    """Where the files go."""
    return out or runs[0].finished.store.run(runs[0].name) / "report"
