"""Options and arguments that several commands take, and what `--json` prints."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

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
        help="Compare with this method of the table, or with what this run found. Default: the best of the reference "
        "family, else of the reference command, else the first; `lrctl list` tells which these are.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Where = Annotated[Path, typer.Option("--store", envvar="LRCTL_STORE", file_okay=False, help="Where results are kept.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]

SHARED = "Every search"


def print_json(document: Any) -> None:
    # JSON escapes all that could steer a terminal, but for DEL.
    typer.echo(json.dumps(document, indent=1, allow_nan=False).replace("\x7f", "\\u007f"))


def shared_options() -> list[inspect.Parameter]:
    def option(name: str, kind: Any, text: str, default: Any = None, *flags: str, **more: Any) -> inspect.Parameter:
        declared = typer.Option(*flags, help=text, rich_help_panel=SHARED, show_default=False, **more)
        return inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared]
        )

    return [
        option("recipe", str | None, "A bundled recipe's name, or a TOML file. Default: quickstart."),
        option("steps", int | None, "Optimizer updates in the whole run."),
        option("seed", int | None, "Decides initialisation, batches and dropout."),
        option("workload", str | None, "A registered workload, or file.py:Class."),
        option("program", str | None, "A command that trains: your own program, started once for each job."),
        option("settings", list[str] | None, "table.key=value; any key of the recipe, repeatable.", None, "--set"),
        option("device", str | None, "auto, cpu, cuda, ..."),
        option("executor", str | None, "auto, or a registered executor."),
        option("workers", int | None, "Worker processes; 0 is one per CPU core, or executor.per_gpu per GPU."),
        option("store", Path, "Where results are kept.", STORE, "--store", envvar="LRCTL_STORE", file_okay=False),
        option("name", str | None, "Name of the run. Default: the command and a hash of all that decides it."),
        option("fresh", bool, "Start over, whatever the store holds.", False, "--fresh"),
        option("dry_run", bool, "Print jobs, steps, disk and estimated time; train nothing.", False, "--dry-run"),
        option("as_json", bool, "Print one JSON document on stdout.", False, "--json"),
        option("quiet", bool, "Show no progress.", False, "--quiet"),
        option("allow_code", bool, "Run the Python file that the recipe names.", False, "--allow-code"),
        option("debug", bool, "Show the traceback of an error.", False, "--debug"),
    ]
