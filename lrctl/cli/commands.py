"""All commands, and what `lrctl` itself takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from lrctl._version import __version__
from lrctl.cli.check import check
from lrctl.cli.compare import compare
from lrctl.cli.deferred import Root, later
from lrctl.cli.export import export_schedule
from lrctl.cli.gc import gc
from lrctl.cli.guide import guide
from lrctl.cli.list import list_parts
from lrctl.cli.new import new
from lrctl.cli.options import Debug
from lrctl.cli.recipes import look_at_recipes
from lrctl.cli.report import report
from lrctl.cli.reproduce import reproduce
from lrctl.cli.runs import look_at_runs
from lrctl.cli.search import search_commands

COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "compare": compare,
    "report": report,
    "reproduce": reproduce,
    "export": export_schedule,
    "check": check,
    "new": new,
    "runs": look_at_runs,
    "gc": gc,
    "recipes": look_at_recipes,
    "list": list_parts,
    "guide": guide,
}
"""The commands beside those of the strategies."""


def version(show: bool) -> None:
    if show:
        typer.echo(f"lrctl {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    show_version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", help="Print the version.", callback=version, is_eager=True)
    ] = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Find a learning-rate schedule for a training run, by searching while it trains."""
    if not context.invoked_subcommand:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def application() -> Any:
    # The help of `lrctl` itself is plain: drawing its frames would import Rich, which takes longer than all the rest.
    app = typer.Typer(
        cls=Root,
        epilog="`lrctl COMMAND --help` tells what a command takes. First: lrctl lookahead",
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        invoke_without_command=True,
    )
    app.callback()(root)
    group: Any = typer.main.get_command(app)
    for command in [*search_commands(), *(later(name, command) for name, command in COMMANDS.items())]:
        group.add_command(command)
    return group
