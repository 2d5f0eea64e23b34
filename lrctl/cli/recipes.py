"""`lrctl recipes`: the recipes that come with lrctl."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lrctl.analysis.printable import printable_lines
from lrctl.cli import completion
from lrctl.cli.deferred import Group
from lrctl.cli.exit import reported
from lrctl.cli.options import AsJson, print_json

look_at_recipes = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    help="List the recipes that come with lrctl; or print one.",
    rich_markup_mode="rich",
    add_completion=False,
)

All = Annotated[bool, typer.Option("--all", "-a", help="Those in folders too, each on a line of its own.")]


@look_at_recipes.callback()
@reported()
def recipes(context: typer.Context, every: All = False, as_json: AsJson = False) -> None:
    """List the recipes that come with lrctl; or print one."""
    if not context.invoked_subcommand:
        list_recipes(every, as_json)


@look_at_recipes.command("list")
@reported()
def list_recipes(every: All = False, as_json: AsJson = False) -> None:
    """List the recipes, as `lrctl recipes` alone does."""
    from lrctl.cli.parts import summary
    from lrctl.contracts.table import Table
    from lrctl.recipe.files import bundled
    from lrctl.report.console import drawn, stdout

    if as_json:
        print_json({"recipes": [asdict(summary(name)) for name in bundled()]})
        return
    folders: dict[str, int] = {}
    for top, slash, _ in (name.partition("/") for name in bundled()):
        folders[top] = folders.get(top, 0) + bool(slash)
    shown = [summary(name) for name in bundled() if every or "/" not in name]
    rows = [(each.name, each.workload, str(each.steps or ""), each.help) for each in shown]
    if not every:
        rows += [
            (f"{top}/...", "", "", f"{count} recipes; --all lists them.") for top, count in folders.items() if count
        ]
    stdout().print(drawn(Table("", ("recipe", "workload", "steps", "what it is"), tuple(rows)), ("workload",)))


@look_at_recipes.command()
@reported()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="A recipe's name, or a TOML file.", autocompletion=completion.recipes),
    ],
) -> None:
    """Print a recipe as its file is, to be read or to be made one's own: lrctl recipes show smoke > mine.toml."""
    from lrctl import documents
    from lrctl.errors import UsageError
    from lrctl.recipe.files import find

    try:
        text = documents.text(find(name))
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from error
    typer.echo(printable_lines(text.rstrip("\n")))
