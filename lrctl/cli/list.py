"""`lrctl list`: every part that can be named, what one part takes, and the plugins."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer

from lrctl.cli import completion
from lrctl.cli.exit import reported
from lrctl.cli.options import AsJson, print_json
from lrctl.cli.search import search_command
from lrctl.errors import UsageError
from lrctl.registry.registry import registry


@reported()
def list_parts(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="One part: list what it takes, with defaults.", autocompletion=completion.parts
        ),
    ] = None,
    roles: Annotated[
        bool, typer.Option("--roles", help="What each parameter of a model is, with its LR scale and weight decay.")
    ] = False,
    recipe: Annotated[str | None, typer.Option(help="With --roles: a bundled recipe's name, or a TOML file.")] = None,
    workload: Annotated[str | None, typer.Option(help="With --roles: a registered workload, or file.py:Class.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="With --roles: table.key=value; any key of the recipe.")
    ] = None,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="With --roles: run the Python file that the recipe names.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List all that can be named: strategies, schedules, workloads, executors, optimizers, recipes, and more.

    Then each plugin with how long its import takes and the heavy packages it brings in, and those that are broken.
    """
    from lrctl.cli.listed_roles import COLUMNS, listed_roles
    from lrctl.cli.parts import described, named

    if roles:
        found = listed_roles(recipe, workload, settings or [], allow_code=allow_code)
        if as_json:
            print_json({"parameters": [dict(zip(COLUMNS, row, strict=True)) for row in found]})
        else:
            draw(COLUMNS, [(*row[:3], f"{row[3]:g}", f"{row[4]:g}") for row in found], ())
        return
    if recipe or workload or settings or allow_code:
        raise UsageError("--recipe, --workload, --set, --allow-code: they tell the model of --roles; give that too")
    for strategy in registry().names("strategy"):
        with suppress(UsageError):  # its plugin is a row
            search_command(strategy)
    if name is None:
        list_all(as_json=as_json)
    elif as_json:
        print_json({"parts": [part | {"parameters": described(part)} for part in named(name)]})
    else:
        for part in named(name):
            show(part)


def list_all(*, as_json: bool) -> None:
    from lrctl.cli.parts import every_part

    parts, found = every_part(), registry()
    imported = [(plugin, took) for plugin, took in found.imported.items() if plugin not in found.broken]
    if as_json:
        took = [{"plugin": plugin, **asdict(each)} for plugin, each in imported]
        print_json({"parts": parts, "plugins": took, "broken": found.broken})
        return
    rows = [(p["kind"], p["name"], p["plugin"], ", ".join(p["marks"]), p["help"]) for p in parts]
    rows += [("plugin", "", plugin, "", f"imported in {took}") for plugin, took in imported]
    rows += [("broken", "", plugin, "", reason) for plugin, reason in found.broken.items()]
    draw(("kind", "name", "plugin", "marks", "what it is"), rows, ("marks", "plugin"))


def show(part: dict[str, Any]) -> None:
    """A part, and a row for each of its parameters."""
    from lrctl.cli.parts import described
    from lrctl.report.console import plain, show, stdout

    show(stdout(), plain(f"{part['kind']} {part['name']}", "bold") + plain(f": {part['help']}"))
    rows = [(p["name"], p["type"], p["default"], p["help"]) for p in described(part)]
    if rows:
        draw(("parameter", "type", "default", "what it is"), rows, ("type",))
    show(stdout(), part["use"], "")


def draw(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], less: Sequence[str]) -> None:
    from lrctl.contracts.table import Table
    from lrctl.report.console import drawn, stdout

    stdout().print(drawn(Table("", columns, tuple(rows)), less))
