"""Options and arguments that several commands take, and what `--json` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lrctl.cli import completion
from lrctl.cli.signals import DOCUMENT

STORE = ".lrctl"
WHERE = "Where results are kept: a folder, or a URL such as s3://BUCKET/PATH."
GIVEN = "RUN|schedule.json"

NAMED = "a name or how it begins, `latest`, or a label"
"""How a run may be asked for, wherever one is."""


def place(given: str | None) -> str | None:
    """A folder or a URL as it was given."""
    if given and ("\0" in given or Path(given).is_file()):
        raise typer.BadParameter(f"dir {given!r} is a file")
    return given


Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        help=f"Finished runs: each {NAMED}, or a glob such as 'baseline*'. Without any: all runs of the workload, data "
        "and steps of the run that was finished last.",
        autocompletion=completion.runs,
        show_default=False,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD|RUN",
        help="Compare with this method of the table, or with what this run found. Default: the best of the reference "
        "family, else of the reference command, else the first; `lrctl list` tells which these are.",
        autocompletion=completion.runs,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Where = Annotated[
    str,
    typer.Option("--store", metavar="DIR|URL", envvar="LRCTL_STORE", help=WHERE, callback=place),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress, and no notes.")]


def print_json(document: Any) -> None:
    # JSON escapes all that could steer a terminal, but for DEL.
    text = json.dumps(document, indent=1, allow_nan=False).replace("\x7f", "\\u007f")
    DOCUMENT.told = True
    typer.echo(text)
