"""What finished runs left in a store: their documents, schedules and losses. Reading it never runs code."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.errors import UsageError, unknown
from lrctl.fields import fields_of
from lrctl.job import canonical_json
from lrctl.loading import is_code
from lrctl.plugins import Part, registry
from lrctl.schedule import AdaptiveSchedule, PiecewiseLinear, build_schedule, params_of
from lrctl.store import Store
from lrctl.strategy import GivenFile, GivenSchedule

if TYPE_CHECKING:
    import numpy as np

SCHEDULE_FORMAT = "lrctl-schedule/1"


@dataclass(frozen=True)
class Finished:
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


def finished(store: str | Path, name: str) -> Finished:
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
    return Finished(place, name, document)


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


def schedule_given(store: str | Path, source: str) -> tuple[Any, int]:
    """The schedule that `RUN|schedule.json` stands for, and for how many steps it is.

    Raises:
        UsageError: there is no such file or run, or it holds no schedule.
    """
    if is_file(source):
        return read_schedule(source)
    run = finished(store, source)
    return run.schedule, int(run.document["steps"])


def is_file(source: str) -> bool:
    """Whether `RUN|schedule.json` was given as a file."""
    return source.endswith(".json") or "/" in source


def read_schedule(path: str | Path) -> tuple[Any, int]:
    """The schedule in a schedule.json, and for how many steps it is.

    Raises:
        UsageError: the file is not a schedule of this format, or its family is not registered.
    """
    return parse_schedule(text_of(path, " as a schedule.json"), str(path))


def text_of(path: str | Path, what: str = "") -> str:
    """The text of a file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"{path}: cannot be read{what}: {reason}") from error


def parse_schedule(text: str, where: str) -> tuple[Any, int]:
    """The schedule in the text of a schedule.json, and for how many steps it is; `where` names it in errors.

    Raises:
        UsageError: the text is not a schedule of this format, or its family is not registered.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: must be a schedule.json, but it is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != SCHEDULE_FORMAT:
        found = f"format {document.get('format')!r}" if isinstance(document, dict) else "no JSON object"
        raise UsageError(f"{where}: must be a schedule.json of format {SCHEDULE_FORMAT!r}, found {found}")
    steps = document.get("steps")
    if type(steps) is not int or steps < 1:
        raise UsageError(f"{where}: steps: must be a whole number of at least 1, got {steps!r}")
    return schedule_in(document, where), steps


def schedule_text(schedule: Any, steps: int) -> str:
    """A schedule as `parse_schedule` reads it."""
    return canonical_json({"format": SCHEDULE_FORMAT, "steps": steps, "schedule": described(schedule)})


def described(schedule: Any) -> dict[str, Any]:
    """A schedule as JSON: its registered family and parameters."""
    return {"family": registry().family(schedule), "params": params_of(schedule)}


def schedule_in(document: Mapping[str, Any], where: str) -> Any:
    """The schedule in a schedule.json or a result document.

    Raises:
        UsageError: there is none in it, or its family is not registered.
    """
    match document.get("schedule"):
        case {"family": str(family), "params": dict(params)}:
            part = registry().get("schedule", family, f"{where}: schedule.family")
            return build_schedule(part.target, params)
    if document.get("schedule", "") is None:
        raise UsageError(f"{where}: it found no schedule; `lrctl runs show` tells why")
    raise UsageError(f"{where}: schedule: must hold a family and its params, got {document.get('schedule')!r}")


def settle(
    part: Part, recipe: str | None, overrides: Mapping[str, Any], store: str | Path
) -> tuple[str | None, dict[str, Any]]:
    """The recipe and overrides of a strategy, with the schedules and files that it works on turned into their content.

    The recipe of a run is taken where none is given, and the run's length is that of the schedule, stretched or not,
    where it is not given. A strategy that works on neither is left as it is.

    Raises:
        UsageError: there is no such file or run, or it holds no schedule.
    """
    settled = dict(overrides)
    prefix = f"strategy.{part.name}."
    for field in fields_of(part.params):
        source, marks = settled.get(prefix + field.name), [m for m in field.marks if isinstance(m, GivenSchedule)]
        if isinstance(source, str) and any(isinstance(mark, GivenFile) for mark in field.marks):
            settled[prefix + field.name] = text_of(source)
        if not marks or not isinstance(source, str):
            continue
        schedule, steps = schedule_given(store, source)
        settled[prefix + field.name] = schedule_text(schedule, steps)
        settled.setdefault("training.steps", settled.get(prefix + marks[0].stretch) or steps)
        if recipe is None and not is_file(source):
            recipe = str(finished(store, source).store.run(source) / "recipe.toml")
            # Of that recipe, what is trained counts, and not what was asked for then.
            settled = {prefix + f.name: f.default for f in fields_of(part.params) if f.default is not MISSING} | settled
    return recipe, settled
