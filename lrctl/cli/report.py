"""`lrctl report`: what `lrctl compare` tells, with figures, curves and a page."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from lrctl.cli.exit import reported
from lrctl.cli.options import STORE, Against, AsJson, Runs, Where, print_json
from lrctl.cli.say import say


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
    from lrctl.report import terminal
    from lrctl.report.made import make

    with redirect_stdout(sys.stderr):  # a family may print when it is asked for its LRs
        made = make(store, runs or [], against, out)
    if as_json:
        print_json({**made.document, "files": made.files})
    else:
        terminal.print_tables(made.tables)
    for path in made.files.values():
        say(f"wrote {path}", err=True)
