"""`lrctl report`: what `lrctl compare` tells, with figures, curves and a page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, Against, AsJson, Runs, Where, print_json
from lrctl.cli.say import say

if TYPE_CHECKING:
    from lrctl.report.runs import Run


@reported()
def report(
    runs: Runs = None,
    against: Against = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", file_okay=False, help="Folder for the files. Default: report/ in the first run's folder."
        ),
    ] = None,
    as_json: AsJson = False,
    store: Where = STORE,
) -> None:
    """Compare finished runs, and write figures, the curves as CSV, and one HTML page that works offline.

    The tables are those of `lrctl compare`.

    The figure shows each method's smoothed training loss minus the reference's, beside the LR schedules.

    Of runs in which nothing was trained it has what they sum up.
    """
    from lrctl.report import compare, files, tables, terminal
    from lrctl.report.chosen import chosen
    from lrctl.report.runs import untrained

    with redirect_stdout(sys.stderr):  # a family may print when it is asked for its LRs
        names = chosen(store, runs or [])
        if against is None and (summed_up := untrained(store, names)):
            written = files.write_summary(summed_up, folder_of(summed_up, out))
            shown = [table for run in summed_up for table in tables.result_tables(run.result)]
            document: dict[str, Any] = {"runs": [run.name for run in summed_up]}
        else:
            found = compare.compare(store, names, against)
            written = files.write(found, folder_of(found.runs, out))
            shown, document = tables.comparison_tables(found), found.to_json()
    if as_json:
        print_json(document | {"files": written})
    else:
        terminal.print_tables(shown)
    for path in written.values():
        say(f"wrote {path}", err=True)


def folder_of(runs: Sequence[Run], out: Path | None) -> Path:
    return out or runs[0].finished.store.report(runs[0].name)
