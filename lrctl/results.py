"""What finished runs left in a store: their documents, schedules and losses. Reading it never runs code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.errors import UsageError, unknown
from lrctl.plugins import registry
from lrctl.schedule import AdaptiveSchedule, PiecewiseLinear, build_schedule
from lrctl.store import Store, read_json

if TYPE_CHECKING:
    import numpy as np

SCHEDULE_FORMAT = "lrctl-schedule/1"


@dataclass(frozen=True)
class Finished:
    """A finished run: its result document, and the store that holds what it names."""

    store: Store
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.document["run"])

    @cached_property
    def recipe(self) -> str:
        """The frozen recipe as TOML; its first line is a comment with the numerics version, device and content."""
        return (self.store.run(self.name) / "recipe.toml").read_text(encoding="utf-8")

    def history(self, key: str | None = None) -> np.ndarray[Any, Any]:
        """The loss and LR of every step of the run that ended with job `key` (default: the one handed over).

        Raises:
            StoreError: a job on the way is missing or damaged.
        """
        return self.store.history(key or self.document["checkpoint"])

    @property
    def schedule(self) -> Any:
        """The schedule that the run found; that of an adaptive one is replayed from the LRs really used."""
        schedule = schedule_in(self.document, f"run {self.name}")
        if not isinstance(schedule, AdaptiveSchedule):
            return schedule
        return PiecewiseLinear(tuple(enumerate(self.history()["lr"].tolist())))


def existing(store: str | Path) -> Store:
    """A store that is there already.

    Raises:
        UsageError: there is none at that path.
    """
    if not (Path(store) / "store.json").is_file():
        raise UsageError(f"--store {store}: there is no store; give the folder that a search kept its results in")
    return Store(store)


def finished(store: str | Path, name: str) -> Finished:
    """A finished run by its name.

    Raises:
        UsageError: there is no such run, or it is not finished.
    """
    place = existing(store)
    document = place.document(name)
    if document is None:
        known = [run.name for run in sorted((place.path / "runs").iterdir()) if place.document(run.name)]
        if place.run(name).is_dir():
            raise UsageError(f"run {name}: it is not finished; give its command again to continue it")
        raise unknown("run", name, known, f"{place.path}: {name}")
    return Finished(place, document)


def schedule_given(store: str | Path, source: str) -> tuple[Any, int]:
    """The schedule that `RUN|schedule.json` stands for, and for how many steps it is.

    Raises:
        UsageError: there is no such file or run, or it holds no schedule.
    """
    if source.endswith(".json") or "/" in source:
        return read_schedule(source)
    run = finished(store, source)
    return run.schedule, int(run.document["steps"])


def read_schedule(path: str | Path) -> tuple[Any, int]:
    """The schedule in a schedule.json, and for how many steps it is.

    Raises:
        UsageError: the file is not a schedule of this format, or its family is not registered.
    """
    document = read_json(Path(path)) if Path(path).is_file() else None
    if document is None or document.get("format") != SCHEDULE_FORMAT:
        found = "no such JSON" if document is None else f"format {document.get('format')!r}"
        raise UsageError(f"{path}: must be a schedule.json of format {SCHEDULE_FORMAT!r}, found {found}")
    steps = document.get("steps")
    if type(steps) is not int or steps < 1:
        raise UsageError(f"{path}: steps: must be a whole number of at least 1, got {steps!r}")
    return schedule_in(document, str(path)), steps


def schedule_in(document: Mapping[str, Any], where: str) -> Any:
    """The schedule in a schedule.json or a result document.

    Raises:
        UsageError: there is none in it, or its family is not registered.
    """
    match document.get("schedule"):
        case {"family": str(family), "params": dict(params)}:
            part = registry().get("schedule", family, f"{where}: schedule.family")
            return build_schedule(part.target, params)
    raise UsageError(f"{where}: schedule: must hold a family and its params, got {document.get('schedule')!r}")
