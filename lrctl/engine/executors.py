"""Executors that are at work: chosen once for a search, and kept for the next one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lrctl.contracts.canonical import canonical_json
from lrctl.contracts.executor import Executor, slots
from lrctl.engine.worker import attempt
from lrctl.errors import UsageError
from lrctl.recipe.schema import AUTO, Choice
from lrctl.registry.registry import registry
from lrctl.registry.values import build
from lrctl.storage.store import Store

START = 4.0
"""About how many seconds it takes until workers train: each imports torch and reads the data."""


Seconds = Callable[[], float]
"""How long a search takes in one process; asked only where that decides."""


def for_ever() -> float:
    return math.inf


def resolved(choice: Choice, device: str, seconds: Seconds = for_ever, *, shared: bool = True) -> Choice:
    """What `auto` stands for: workers where they save more than it takes to start them, else this process.

    Where a number of workers is asked for, there will be so many. None see a store that is not `shared`.
    """
    if choice.name != AUTO:
        return choice
    asked = choice.params.workers
    workers = asked or slots(device, choice.params.per_gpu)
    # On a GPU nothing is timed: that would hold memory of it in this process.
    pays = workers > 1 and (asked or (shared and (device != "cpu" or seconds() * (1 - 1 / workers) > START)))
    mark, given = ("parallel", {"workers": workers}) if pays else ("in_process", {})
    name, *_ = registry().marked("executor", mark)
    return Choice(name, build(registry().get("executor", name).params, given, f"executor {name}"))


def workers_of(choice: Choice, device: str, seconds: Seconds = for_ever) -> int:
    """How many jobs of a search run at a time."""
    found = resolved(choice, device, seconds)
    if found.name in registry().marked("executor", "in_process"):
        return 1
    return getattr(found.params, "workers", 0) or slots(device, getattr(found.params, "per_gpu", 1))


def side_by_side(choice: Choice, device: str) -> int:
    """How many jobs share a GPU of this machine at a time; 1 on any other device, or where they may be elsewhere."""
    if not device.startswith("cuda") or resolved(choice, device).name not in registry().marked("executor", "parallel"):
        return 1
    return -(-workers_of(choice, device) // slots(device))


def can_speculate(choice: Choice, device: str) -> bool:
    """Whether workers of an executor can be idle, and train ahead then; warns where they cannot."""
    if choice.name not in registry().marked("executor", "ahead"):
        why = f"executor {choice.name} runs nothing but what a search has asked for; choose another --executor"
    elif getattr(choice.params, "workers", 0) == 1 or (
        choice.name in registry().marked("executor", "parallel") and workers_of(choice, device) == 1
    ):
        why = "one worker is never idle while the search waits; give --workers 2 or more"
    else:
        return True
    warnings.warn(f"--speculate: nothing is trained ahead: {why}", stacklevel=2)
    return False


@dataclass(slots=True)
class Executors:
    """Executors by what they were built with: searches that follow each other share their workers."""

    built: dict[str, Executor] = field(default_factory=dict)

    def chosen(self, choice: Choice, store: Store, device: str, seconds: Seconds) -> Choice:
        """What `auto` stands for; workers that are there already always pay."""
        shared = store.objects.shared
        found = resolved(choice, device, shared=shared)
        built = self.key(found, store, device) in self.built
        return found if built else resolved(choice, device, seconds, shared=shared)

    def get(self, choice: Choice, store: Store, device: str, seconds: Seconds = for_ever) -> Executor:
        found = self.chosen(choice, store, device, seconds)
        key = self.key(found, store, device)
        if key not in self.built:
            check_shared(found, store)
            part = registry().get("executor", found.name)
            self.built[key] = part.target(found.params, partial(attempt, store.address))
        return self.built[key]

    @staticmethod
    def key(choice: Choice, store: Store, device: str) -> str:
        place = store.address
        return canonical_json([choice.table, str(place.resolve() if isinstance(place, Path) else place), device])

    def close(self) -> None:
        for executor in self.built.values():
            executor.close()
        self.built.clear()


def check_shared(choice: Choice, store: Store) -> None:
    """Refuse workers for a store that they do not see."""
    if not store.objects.shared and choice.name not in registry().marked("executor", "in_process"):
        raise UsageError(
            f"--store {store.shown}: it is in the memory of this process, where the workers of executor {choice.name} "
            "do not see it; give --executor serial, or another --store"
        )
