"""Options and arguments that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORE = Path(".lrctl")
GIVEN = "RUN|schedule.json"

Runs = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Names of finished runs, such as semilocal-6f15d975.")
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
