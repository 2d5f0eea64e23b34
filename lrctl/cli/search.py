"""One command per registered strategy, whose flags are the fields of its parameters."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from lrctl.analysis.printable import printable
from lrctl.cli.deferred import Deferred, built
from lrctl.cli.exit import reported
from lrctl.cli.options import print_json, shared_options
from lrctl.cli.say import say
from lrctl.registry.parts import Part
from lrctl.registry.registry import registry


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
    return printable(part.help[:1].upper() + part.help[1:] + ".")


def search_function(part: Part) -> Callable[..., None]:
    """What the command of a strategy calls: its signature is the strategy's parameters, and what every search takes."""
    from lrctl.cli.flags import RECIPE_KEYS, given, own_options, program, quoted

    @reported("" if part.plugin in registry().own else part.plugin)
    def command(**options: Any) -> None:
        from lrctl.recipe import parse as recipes
        from lrctl.recipe.files import find
        from lrctl.storage.given import settle

        overrides = dict(recipes.parse_setting(text) for text in options["settings"] or [])
        overrides |= {key: options[name] for name, key in RECIPE_KEYS.items() if options[name] is not None}
        overrides |= given(part, options) | program(options)
        with redirect_stdout(sys.stderr):  # what plugins and the user's own code print must not get into the document
            name, overrides, stored = settle(part, options["recipe"], overrides, options["store"])
            recipe = recipes.read(name, overrides, allow_code=options["allow_code"], stored=stored)
        if not name and not options["quiet"]:
            default = find(recipes.DEFAULT)
            say(f"recipe: {recipes.DEFAULT} ({default}); --recipe takes another", err=True)
        (plan if options["dry_run"] else run)(part.name, recipe, options)

    command.__signature__ = inspect.Signature([*own_options(part), *shared_options()])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in inspect.signature(command).parameters.values()}
    command.__doc__ = quoted(told(part))
    return command


def run(command: str, recipe: Any, options: dict[str, Any]) -> None:
    from lrctl.engine import run as runs
    from lrctl.planning.estimate import check_memory
    from lrctl.report import progress, terminal
    from lrctl.storage.store import Store

    store = Store(options["store"])  # which finds itself again wherever the user's own code goes
    where = {"store": store.path, "name": options["name"], "fresh": options["fresh"]}
    check = partial(check_memory, store=store.path)
    with progress.shown(quiet=options["quiet"]), redirect_stdout(sys.stderr):
        result = runs.search(command, recipe, **where, check=check)
    if options["as_json"]:
        print_json(store.document(result))
    else:
        terminal.print_summary(result, store.files(result))


def plan(command: str, recipe: Any, options: dict[str, Any]) -> None:
    from lrctl.planning import estimate as estimates
    from lrctl.report import terminal

    with redirect_stdout(sys.stderr):
        # Absolute, since the user's own code may go elsewhere.
        estimate = estimates.estimate(command, recipe, store=Path(options["store"]).absolute())
    if options["as_json"]:
        print_json(estimate)
    else:
        terminal.print_estimate(estimate)
