"""`lrctl check`: whether a workload keeps the rules that results rest on."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from lrctl.cli.exit import Ended, reported
from lrctl.cli.options import AsJson, Debug, print_json


@reported()
def check(
    recipe: Annotated[str | None, typer.Option(help="A bundled recipe's name, or a TOML file.")] = None,
    workload: Annotated[str | None, typer.Option(help="A registered workload, or file.py:Class.")] = None,
    program: Annotated[str | None, typer.Option(help="A command that trains: your own program.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides initialisation, batches and dropout.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, ...")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="table.key=value; any key of the recipe, repeatable.")
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run the Python file that the recipe names.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Tell which rules that results rest on a workload keeps, from a few steps of training.

    Each rule holds, is broken, or could not be told: with what was found, and what to do.

    The exit code is 0 if none is broken, and 2 otherwise.
    """
    from lrctl.checks.check import check as found_by
    from lrctl.cli import flags
    from lrctl.engine.prepare import prepare
    from lrctl.recipe import parse as recipes
    from lrctl.report import terminal

    given = {"workload": workload, "seed": seed, "device": device}
    overrides = dict(recipes.parse_setting(text) for text in settings or [])
    overrides |= {flags.RECIPE_KEYS[name]: value for name, value in given.items() if value is not None}
    overrides |= flags.program({"program": program, "workload": workload})
    with redirect_stdout(sys.stderr):  # what the user's own code prints must not get into the document
        found = found_by(prepare(recipes.read(recipe, overrides, allow_code=allow_code)))
    if as_json:
        print_json(found.to_json())
    else:
        terminal.print_tables([found.table()])
    if found.broken:
        raise Ended(2)
