"""The command line: one command per registered strategy, and the commands that look at results.

Each module here imports what its commands need when they run, so that `lrctl --help` stays quick.
"""

from __future__ import annotations

import signal
import warnings
from typing import Annotated, Any

import typer

from lrctl._version import __version__
from lrctl.cli.compare import compare
from lrctl.cli.exit import reported, terminate
from lrctl.cli.export import export_schedule
from lrctl.cli.gc import gc
from lrctl.cli.list import list_parts
from lrctl.cli.report import report
from lrctl.cli.reproduce import reproduce
from lrctl.cli.runs import look_at_runs
from lrctl.cli.search import strategy_command
from lrctl.registry.registry import registry

ON = {"help_option_names": ["-h", "--help"]}


def version(show: bool) -> None:
    """Print the version and stop."""
    if show:
        typer.echo(f"lrctl {__version__}")
        raise typer.Exit


def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Find a learning-rate schedule for a training run, by searching while it trains."""


def application() -> typer.Typer:
    """The command line with one command per registered strategy."""
    app = typer.Typer(
        context_settings=ON, rich_markup_mode="rich", pretty_exceptions_enable=False, no_args_is_help=True
    )
    app.callback()(root)
    for part in registry().of("strategy"):
        try:
            command = strategy_command(part)
        except Exception as error:
            registry().set_aside(part.plugin, error)
        else:
            app.command(part.name, rich_help_panel="Search")(command)
    for command in (compare, report):
        app.command(rich_help_panel="Look")(command)
    app.command(rich_help_panel="Search")(reproduce)
    app.command("export", rich_help_panel="Use")(export_schedule)
    app.add_typer(look_at_runs, name="runs", rich_help_panel="Look")
    app.command("gc", rich_help_panel="Look")(gc)
    app.command("list", rich_help_panel="Look")(list_parts)
    return app


def main() -> None:
    """Run the command line."""
    warnings.showwarning = lambda message, *_: typer.echo(f"warning: {message}", err=True)
    signal.signal(signal.SIGTERM, terminate)
    with reported():
        commands: Any = typer.main.get_command(application())
    # `lrctl --help` is plain: drawing its frames would import Rich, which takes longer than all the rest.
    commands.rich_markup_mode = None
    commands()
