"""One command per registered strategy, whose flags are the fields of its parameters."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
from typing import Any

from lrctl.analysis.printable import printable
from lrctl.cli.defaults import as_sentence
from lrctl.cli.deferred import Deferred, built
from lrctl.cli.exit import reported
from lrctl.cli.say import say
from lrctl.cli.shared import shared_options
from lrctl.registry.parts import Part
from lrctl.registry.registry import registry


def search_commands() -> Iterator[Deferred]:
    for part in registry().load("strategy").values():
        yield Deferred(part.name, told(part), partial(search_command, part.name), "Search")


def search_command(name: str) -> Any:
    part = registry().get("strategy", name)
    try:
        return built(search_function(part), part.example or f"lrctl {part.name} --recipe smoke --dry-run")
    except Exception as error:
        raise registry().unusable(part, error) from error


def told(part: Part) -> str:
    return printable(as_sentence(part.help[:1].upper() + part.help[1:]))


def search_function(part: Part) -> Callable[..., None]:
    """What the command of a strategy calls: its signature is the strategy's parameters, and what every search takes."""
    from lrctl.cli.flags import RECIPE_KEYS, given, own_options, program, quoted

    own = own_options(part)

    @reported("" if part.plugin in registry().own else part.plugin)
    def command(**options: Any) -> None:
        from lrctl.cli import searching
        from lrctl.engine.epochs import in_epochs, without_steps
        from lrctl.recipe import parse as recipes
        from lrctl.recipe.files import find
        from lrctl.storage.given import settle
        from lrctl.storage.labels import check_label

        labels = [check_label(label) for label in options["labels"] or []]
        overrides = dict(recipes.parse_setting(text) for text in options["settings"] or [])
        overrides |= {key: options[name] for name, key in RECIPE_KEYS.items() if options[name] not in (None, [])}
        overrides |= given(part, options) | program(options)
        name, each = options["recipe"], searching.seeds_of(overrides, None if "seeds" in owned else options["seeds"])
        epochs = options["epochs"]
        with redirect_stdout(sys.stderr):  # what plugins and the user's own code print must not get into the document
            read = partial(recipes.read, allow_code=options["allow_code"])
            given_length = without_steps(overrides, epochs)
            settled, overrides, stored = settle(part, name, given_length, options["store"])
            found = [in_epochs(read(settled, overrides | seed, stored=stored), epochs) for seed in each]
        own = options["program"] or ":" in overrides.get("workload.name", "")
        if not settled and not own and not options["quiet"]:
            say(f"recipe: {recipes.DEFAULT} ({find(recipes.DEFAULT)}); --recipe takes another", err=True)
        from lrctl.engine.budget import Budget

        budget = Budget.of(options["max_steps"], options["max_time"], options["max_disk"])
        told = options | {"labels": labels, "budget": budget}
        (searching.plan if options["dry_run"] else searching.run)(part.name, found, told)

    owned = {each.name for each in own}
    command.__signature__ = inspect.Signature([*own, *shared_options(owned)])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in inspect.signature(command).parameters.values()}
    command.__doc__ = quoted(told(part))
    return command
