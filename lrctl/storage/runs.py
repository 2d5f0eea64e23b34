"""What finished runs left in a store: their documents, schedules and losses. Reading it never runs code."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.errors import StoreError, UsageError, unknown
from lrctl.recipe.workloads import is_code
from lrctl.registry.registry import registry
from lrctl.registry.schedules import rebuilt
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store

if TYPE_CHECKING:
    import numpy as np

LEAVE = "its recipe names Python code: add --allow-code if you trust it"
"""Said of a command that needs leave: one that is to be copied does not give it itself."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its result, and the store that holds what it names.

    Attributes:
        name: that of its folder now; the result has the one it was made under.
    """

    store: Store
    name: str
    result: RunResult

    @property
    def recipe(self) -> str:
        return self.store.recipe(self.name)

    @property
    def identity(self) -> RunIdentity:
        found = self.store.identity(self.name)
        if found is None:
            raise StoreError(f"run {self.name}: its identity.json is missing or damaged; run the search again")
        return found

    def history(self, key: str | None = None) -> np.ndarray[Any, Any]:
        """The loss and LR of every step of the run that ended with job `key` (default: the one handed over)."""
        return self.store.history(key or self.result.checkpoint or "")

    @property
    def rebuilt(self) -> Any:
        """The schedule as it stands in the result."""
        if self.result.schedule is None:
            raise UsageError(f"run {self.name}: it found no schedule; `lrctl runs show` tells why")
        return rebuilt(self.result.schedule, f"run {self.name}")

    @property
    def schedule(self) -> Any:
        """The schedule that the run found; that of an adaptive one is replayed from the LRs really used."""
        schedule = self.rebuilt
        if isinstance(schedule, AdaptiveSchedule):
            if (scope := getattr(schedule, "scope", "global")) != "global":
                raise UsageError(
                    f"run {self.name}: it had an LR for each {scope}, so no one schedule replays it; "
                    "use lrctl.lr_scheduler.AdaptiveLR with the same settings"
                )
            return PiecewiseLinear(tuple(enumerate(self.history()["lr"].tolist())))
        if self.outdated:
            raise UsageError(
                f"run {self.name}: family {registry().family(schedule)} gives other LRs now than the run was "
                "trained with; install the plugin as it was, or give the run's command again to train with the new ones"
            )
        return schedule

    @property
    def outdated(self) -> bool:
        """Whether the family of what was trained gives other LRs now: its code has changed."""
        if self.result.checkpoint is None or isinstance(schedule := self.rebuilt, AdaptiveSchedule):
            return False
        now = [schedule(step) for step in range(self.result.steps)]
        return bool(now != self.history()["lr"].tolist())

    @property
    def whole(self) -> bool:
        """Whether what it handed over is still there, and is what its schedule's family gives."""
        key = self.result.checkpoint
        try:
            return key is None or (self.store.has_checkpoint(key) and not self.outdated)
        except StoreError:  # a job that led to it is missing or damaged: the search makes it again
            return False


def existing(store: str | Path) -> Store:
    if not (Path(store) / "store.json").is_file():
        raise UsageError(f"--store {store}: there is no store; give the folder that a search kept its results in")
    return Store(store)


def finished(store: str | Path, name: str) -> FinishedRun:
    place = existing(store)
    if name not in place.runs():
        known = [run for run in place.runs() if place.run_result(run)]
        raise unknown("run", name, known, f"{place.path}: {name}")
    result = place.run_result(name)
    if result is None:
        raise UsageError(f"run {name}: it is not finished; its command continues it: {command_of(place, name)}")
    return FinishedRun(place, name, result)


def command_of(place: Store, name: str) -> str:
    """The command that makes a run, or goes on with it, from its frozen recipe."""
    path = place.run(name) / "recipe.toml"
    try:
        tables = tomllib.loads(place.recipe(name))
        (strategy,) = tables["strategy"]
        code = is_code(tables["workload"]["name"])
    except (ValueError, KeyError, TypeError):
        return f"(nothing tells it: {path} is missing or damaged)"
    command = shlex.join(["lrctl", strategy, "--recipe", str(path), "--name", name, "--store", str(place.path)])
    return f"{command} ({LEAVE})" if code else command
