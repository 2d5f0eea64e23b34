"""What finished runs left in a store: their documents, schedules and losses. Reading it never runs code."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl import documents
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.errors import StoreError, UsageError, unknown
from lrctl.recipe.workloads import is_code, is_program
from lrctl.registry.registry import registry
from lrctl.registry.schedules import rebuilt
from lrctl.storage.identity import RunIdentity
from lrctl.storage.places import local, objects_at
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store

if TYPE_CHECKING:
    import numpy as np

MEND = "the command that made it makes it whole again"
LEAVE = "its recipe names code of your own: add --allow-code if you trust it"
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
        """The recipe that it was made with, as TOML.

        Raises:
            StoreError: it is missing or damaged.
        """
        found = self.store.runs.recipe(self.name)
        if found is None:
            raise self.lost("recipe.toml")
        return found

    @property
    def identity(self) -> RunIdentity:
        found = self.store.runs.identity(self.name)
        if found is None:
            raise self.lost("identity.json")
        return found

    def lost(self, file: str) -> StoreError:
        """The error for a file of the run that is missing or damaged."""
        return StoreError(f"run {self.name}: its {file} is missing or damaged; {MEND}")

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
        """Whether all that it left is still there as it was written, and is what its schedule's family gives.

        What is not is made again from the jobs, or those again that are damaged themselves.
        """
        try:
            if defects(self) or self.outdated:
                return False
            if key := self.result.checkpoint:  # last, since it may be large
                self.store.load_checkpoint(key)
            return True
        except StoreError:
            return False


def defects(run: FinishedRun) -> list[str]:
    """The files of a finished run that are missing or are not what was written, as far as a glance tells.

    Of the checkpoint that it hands over that is whether it is there, whole, and the one that its job wrote.
    """
    store, name, key = run.store, run.name, run.result.checkpoint
    known = store.runs.identity(name) is not None
    whole = {
        "identity.json": known,
        "recipe.toml": not known or store.runs.recipe(name) is not None,
        "environment.json": store.runs.environment(name) is not None,
        "schedule.json": store.runs.has_schedule(name, run.result),
        "checkpoint": key is None or store.has_checkpoint(key),
    }
    return [file for file, fine in whole.items() if not fine]


def closed(store: Store, name: str) -> bool:
    """Whether a run that has a result has all else that its search wrote beside it; checkpoints may be made again."""
    result = store.runs.result(name)
    if result is None:  # it was taken away since
        return True
    marked = all(map(store.runs.is_handed_over, result.handed_over))
    return marked and set(defects(FinishedRun(store, name, result))) <= {"checkpoint"}


def there(store: str | Path) -> Store | None:
    """The store at a place, if there is one: to open another place would make it one."""
    return Store(store) if objects_at(store).is_store() else None


def existing(store: str | Path) -> Store:
    if not (found := there(store)):
        raise UsageError(f"--store {store}: there is no store; give the folder or URL where a search kept its results")
    return found


def finished(store: str | Path, name: str) -> FinishedRun:
    """A finished run; of what is missing or damaged of it there is a warning.

    Raises:
        UsageError: there is no such run, or it is not finished.
    """
    place = existing(store)
    if name not in place.runs.names():
        known = [run for run in place.runs.names() if place.runs.result(run)]
        raise unknown("run", name, known, f"{place.shown}: {name}")
    result = place.runs.result(name)
    if result is None:
        raise UsageError(f"run {name}: it is not finished; its command continues it: {command_of(place, name)}")
    run = FinishedRun(place, name, result)
    # What needs the identity and does not get it says so.
    if wrong := [file for file in defects(run) if file != "identity.json"]:
        warnings.warn(f"run {name}: missing or damaged: {', '.join(wrong)}; {MEND}", stacklevel=2)
    return run


def command_of(place: Store, name: str) -> str:
    """The command that makes a run, or goes on with it, from its frozen recipe.

    Where that names code of the user's, the user is told to give leave, and it is not given for them.
    """
    path = place.objects.where(f"{place.runs.folder(name)}/recipe.toml")
    try:
        tables = documents.from_toml(place.runs.recipe(name) or "")
        (strategy,) = tables["strategy"]
        workload = tables["workload"]["name"]
        code = is_code(workload) or is_program(workload)
    except (ValueError, KeyError, TypeError):
        return f"(nothing tells it: {path} is missing or damaged)"
    command = shlex.join(["lrctl", strategy, "--recipe", str(local(path)), "--name", name, "--store", place.shown])
    return f"{command} ({LEAVE})" if code else command
