"""Executors that are at work: chosen once for a search, and kept for the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from lrctl.contracts import params as fields
from lrctl.contracts.canonical import canonical_json
from lrctl.contracts.executor import Executor, slots
from lrctl.engine.worker import attempt
from lrctl.recipe.schema import AUTO, Choice
from lrctl.registry.registry import registry
from lrctl.storage.store import Store


def resolved(choice: Choice, device: str) -> Choice:
    """What `auto` stands for: this process where one job can run at a time, else as many workers as can."""
    if choice.name != AUTO:
        return choice
    workers = choice.params.workers or slots(device, choice.params.per_gpu)
    mark, given = ("parallel", {"workers": workers}) if workers > 1 else ("in_process", {})
    name, *_ = registry().marked("executor", mark)
    return Choice(name, fields.build(registry().get("executor", name).params, given, f"executor {name}"))


def workers_of(choice: Choice, device: str) -> int:
    found = resolved(choice, device)
    if found.name in registry().marked("executor", "in_process"):
        return 1
    return getattr(found.params, "workers", 0) or slots(device, getattr(found.params, "per_gpu", 1))


def side_by_side(choice: Choice, device: str) -> int:
    """How many jobs share a GPU of this machine at a time; 1 on any other device."""
    return -(-workers_of(choice, device) // slots(device)) if device.startswith("cuda") else 1


@dataclass(slots=True)
class Executors:
    """Executors by what they were built with: searches that follow each other share their workers."""

    built: dict[str, Executor] = field(default_factory=dict)

    def get(self, choice: Choice, store: Store, device: str) -> Executor:
        choice = resolved(choice, device)
        key = canonical_json([choice.table, str(store.path.resolve()), device])
        if key not in self.built:
            part = registry().get("executor", choice.name)
            self.built[key] = part.target(choice.params, partial(attempt, store.path))
        return self.built[key]

    def close(self) -> None:
        for executor in self.built.values():
            executor.close()
        self.built.clear()
