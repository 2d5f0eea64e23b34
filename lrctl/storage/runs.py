"""What finished runs left in a store: their documents, schedules and losses. Reading it never runs code."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.errors import UsageError, unknown
from lrctl.recipe.workloads import is_code
from lrctl.registry.schedules import schedule_in
from lrctl.storage.store import Store

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its result document, and the store that holds what it names.

    Attributes:
        name: that of its folder now; the document has the one it was made under.
    """

    store: Store
    name: str
    document: Mapping[str, Any]

    @property
    def recipe(self) -> str:
        """The frozen recipe as TOML; its first line is a comment with the numerics version, device and content."""
        return self.store.recipe(self.name)

    def history(self, key: str | None = None) -> np.ndarray[Any, Any]:
        """The loss and LR of every step of the run that ended with job `key` (default: the one handed over).

        Raises:
            StoreError: a job on the way is missing or damaged.
        """
        return self.store.history(key or self.document["checkpoint"])

    @property
    def schedule(self) -> Any:
        """The schedule that the run found; that of an adaptive one is replayed from the LRs really used.

        Raises:
            UsageError: its family is not registered, or gives other LRs now than the run was trained with.
        """
        schedule = schedule_in(self.document, f"run {self.name}")
        if isinstance(schedule, AdaptiveSchedule):
            if (scope := getattr(schedule, "scope", "global")) != "global":
                raise UsageError(
                    f"run {self.name}: it had an LR for each {scope}, so no one schedule replays it; "
                    "use lrctl.lr_scheduler.AdaptiveLR with the same settings"
                )
            return PiecewiseLinear(tuple(enumerate(self.history()["lr"].tolist())))
        if self.outdated:
            raise UsageError(
                f"run {self.name}: family {self.document['schedule']['family']} gives other LRs now than the run was "
                "trained with; install the plugin as it was, or give the run's command again to train with the new ones"
            )
        return schedule

    @property
    def outdated(self) -> bool:
        """Whether the family of what was trained gives other LRs now: its code has changed."""
        if self.document["checkpoint"] is None:
            return False
        schedule = schedule_in(self.document, f"run {self.name}")
        if isinstance(schedule, AdaptiveSchedule):
            return False
        now = [schedule(step) for step in range(self.document["steps"])]
        return bool(now != self.history()["lr"].tolist())


def existing(store: str | Path) -> Store:
    """A store that is there already.

    Raises:
        UsageError: there is none at that path.
    """
    if not (Path(store) / "store.json").is_file():
        raise UsageError(f"--store {store}: there is no store; give the folder that a search kept its results in")
    return Store(store)


def finished(store: str | Path, name: str) -> FinishedRun:
    """A finished run by its name.

    Raises:
        UsageError: there is no such run, or it is not finished.
    """
    place = existing(store)
    if name not in place.runs():
        known = [run for run in place.runs() if place.document(run)]
        raise unknown("run", name, known, f"{place.path}: {name}")
    document = place.document(name)
    if document is None:
        raise UsageError(f"run {name}: it is not finished; its command continues it: {command_of(place, name)}")
    return FinishedRun(place, name, document)


def command_of(place: Store, name: str) -> str:
    """The command that makes a run, or goes on with it, from its frozen recipe."""
    path = place.run(name) / "recipe.toml"
    try:
        tables = tomllib.loads(place.recipe(name))
        (strategy,) = tables["strategy"]
        code = is_code(tables["workload"]["name"])
    except (ValueError, KeyError, TypeError):
        return f"(nothing tells it: {path} is missing or damaged)"
    words = ["lrctl", strategy, "--recipe", str(path), "--name", name, "--store", str(place.path)]
    return shlex.join(words + ["--allow-code"] * code)
