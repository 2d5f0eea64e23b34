"""One command per registered strategy, whose flags are the fields of its parameters; `lrctl list` has all parts."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from functools import partial
from typing import Any

import typer

from lrctl.cli.deferred import Deferred, built
from lrctl.cli.exit import reported
from lrctl.cli.options import AsJson, print_json, shared_options
from lrctl.errors import UsageError
from lrctl.registry.registry import KINDS, Part, registry


def search_commands() -> Iterator[Deferred]:
    for part in registry().load("strategy").values():
        yield Deferred(part.name, told(part), partial(search_command, part.name))


def search_command(name: str) -> Any:
    part = registry().get("strategy", name)
    try:
        return built(search_function(part))
    except Exception as error:
        raise registry().unusable(part, error) from error


def told(part: Part) -> str:
    return part.help[:1].upper() + part.help[1:] + "."


def search_function(part: Part) -> Callable[..., None]:
    """What the command of a strategy calls: its signature is the strategy's parameters, and what every search takes."""
    from lrctl.cli.flags import RECIPE_KEYS, given, own_options

    @reported()
    def command(**options: Any) -> None:
        from lrctl.recipe import parse as recipes
        from lrctl.recipe.files import find
        from lrctl.storage.given import settle

        overrides = dict(recipes.parse_setting(text) for text in options["settings"] or [])
        overrides |= {key: options[name] for name, key in RECIPE_KEYS.items() if options[name] is not None}
        overrides |= given(part, options)
        name, overrides = settle(part, options["recipe"], overrides, options["store"])
        recipe = recipes.read(name, overrides, allow_code=options["allow_code"])
        if not name and not options["quiet"]:
            default = find(recipes.DEFAULT)
            typer.echo(f"recipe: {recipes.DEFAULT} ({default}); --recipe takes another", err=True)
        (plan if options["dry_run"] else run)(part.name, recipe, options)

    command.__signature__ = inspect.Signature([*own_options(part), *shared_options()])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in inspect.signature(command).parameters.values()}
    command.__doc__ = told(part)
    return command


def run(command: str, recipe: Any, options: dict[str, Any]) -> None:
    from lrctl.engine import run as runs
    from lrctl.report import progress, terminal
    from lrctl.storage.store import Store

    # What the user's own code prints must not get into the document.
    with progress.shown(quiet=options["quiet"]), redirect_stdout(sys.stderr):
        result = runs.search(command, recipe, store=options["store"], name=options["name"], fresh=options["fresh"])
    store = Store(options["store"])
    if options["as_json"]:
        print_json(store.document(result))
    else:
        terminal.print_summary(result, store.files(result))


def plan(command: str, recipe: Any, options: dict[str, Any]) -> None:
    from lrctl.planning import estimate as estimates
    from lrctl.report import terminal

    with redirect_stdout(sys.stderr):
        estimate = estimates.estimate(command, recipe, store=options["store"])
    if options["as_json"]:
        print_json(estimate)
    else:
        terminal.print_estimate(estimate)


@reported()
def list_parts(as_json: AsJson = False) -> None:
    """List every registered strategy, schedule, workload and executor, and the plugins that are broken."""
    found = registry()
    for name in found.names("strategy"):
        with suppress(UsageError):  # its plugin is a row
            search_command(name)
    parts = [part for kind in KINDS for part in found.of(kind)]
    if as_json:
        rows = [
            {"kind": p.kind, "name": p.name, "plugin": p.plugin, "help": p.help, "marks": sorted(p.marks)}
            for p in parts
        ]
        print_json({"parts": rows, "broken": found.broken})
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("kind", "name", "plugin", "marks", "what it is", box=None, pad_edge=False)
    for part in parts:
        table.add_row(part.kind, part.name, part.plugin, ", ".join(sorted(part.marks)), escape(part.help))
    for plugin, reason in found.broken.items():
        table.add_row("[red]broken[/red]", "", plugin, "", escape(reason))
    # One line per part for whoever reads the lines.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
