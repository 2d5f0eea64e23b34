"""What a shell offers in place of a word: names of runs, recipes and parts. It never fails, it offers nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import typer

from lrctl.analysis.printable import printable
from lrctl.registry.registry import registry

Complete = Callable[[typer.Context, str], list[str]]


def offered(find: Callable[[typer.Context], Iterable[str]]) -> Complete:
    """A completion of the words that are found, but for those that a terminal could not be shown as they are."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        with suppress(Exception):
            return [word for word in find(ctx) if word.startswith(incomplete) and printable(word) == word]
        return []

    return complete


def known_runs(ctx: typer.Context) -> list[str]:
    from lrctl.storage.labels import labels
    from lrctl.storage.named import LATEST, newest_first
    from lrctl.storage.runs import existing

    place = existing(store_of(ctx))
    names = newest_first(place, place.runs.names())
    return [*names, *dict.fromkeys(label for name in names for label in labels(place, name)), LATEST]


def store_of(ctx: Any) -> str:
    """The store that the command line names so far, else the one it would take."""
    outer = [ctx, *([ctx.parent] if ctx.parent else [])]
    named = next((each.params["store"] for each in outer if each.params.get("store")), None)
    return str(named or os.environ.get("LRCTL_STORE") or ".lrctl")


def known_labels(ctx: typer.Context) -> list[str]:
    from lrctl.storage.labels import labels
    from lrctl.storage.runs import existing

    place = existing(store_of(ctx))
    return sorted({label for name in place.runs.names() for label in labels(place, name)})


def known_recipes(_: typer.Context) -> Iterator[str]:
    from lrctl.recipe.files import bundled

    yield from bundled()
    yield from (path.name for path in sorted(Path().glob("*.toml")))


def known_optimizers(_: typer.Context) -> Iterable[str]:
    from lrctl.contracts.optimizers import OPTIMIZERS

    return OPTIMIZERS


def known_targets(_: typer.Context) -> Iterable[str]:
    from lrctl.export.export import TARGETS

    return TARGETS


def known_parts(_: typer.Context) -> list[str]:
    from lrctl.cli.parts import every_part

    return [part["name"] for part in every_part()]


def named_parts(kind: str, _: typer.Context, *, also: str = "") -> list[str]:
    return [*filter(None, [also]), *registry().names(kind)]


runs = offered(known_runs)
labels = offered(known_labels)
recipes = offered(known_recipes)
parts = offered(known_parts)
targets = offered(known_targets)
optimizers = offered(known_optimizers)
families = offered(partial(named_parts, "schedule"))
strategies = offered(partial(named_parts, "strategy"))
workloads = offered(partial(named_parts, "workload"))
executors = offered(partial(named_parts, "executor", also="auto"))
trackers = offered(partial(named_parts, "tracker"))

FIELDS = {"family": families, "against": families, "optimizer": optimizers}
"""Parameters of strategies that are called as what they name."""
