"""What a strategy is given to work on: the schedule of a run or a file, or the text of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict
from pathlib import Path
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import GivenFile, GivenSchedule
from lrctl.errors import CheckpointError, UsageError
from lrctl.recipe.start import number
from lrctl.registry.parts import Part
from lrctl.registry.schedules import read_schedule, recorded, schedule_text, text_of
from lrctl.storage.files import checked
from lrctl.storage.named import one_run
from lrctl.storage.places import local, split
from lrctl.storage.runs import MEND, FinishedRun, existing, finished

PAST = "start.past"
"""The key of the schedule that a run under way has followed so far."""


def schedule_given(store: str | Path, source: str) -> tuple[Any, int]:
    """The schedule that `RUN|schedule.json` stands for, and for how many steps it is."""
    if is_file(source):
        return schedule_file(source)
    run = run_given(store, source)
    return run.schedule, run.result.steps


def run_given(store: str | Path, source: str) -> FinishedRun:
    """The finished run that `RUN|schedule.json` asks for."""
    return finished(store, one_run(existing(store), source, finished=True))


def schedule_file(path: str | Path) -> tuple[Any, int]:
    """The schedule in a schedule.json, and for how many steps it is; one in the folder of a run must be what it found.

    Raises:
        UsageError: the file is not a schedule of this format, or not that of the run in whose folder it is.
    """
    try:
        here = local(path)
    except CheckpointError as error:  # of which there is no such object
        raise UsageError(str(error)) from error
    schedule, steps = read_schedule(here, str(path))
    objects, name = split(path)
    found = checked(objects.read("result.json")) if name == "schedule.json" else None
    if found and (found.get("steps"), found.get("schedule")) != (steps, finite(asdict(recorded(schedule)))):
        raise UsageError(
            f"{path}: it is not the schedule that the run in this folder found; {MEND}, "
            "or put the file elsewhere if it is meant"
        )
    return schedule, steps


def is_file(source: str) -> bool:
    """Whether `RUN|schedule.json` was given as a file."""
    return source.endswith(".json") or "/" in source


def settle(
    part: Part, recipe: str | None, overrides: Mapping[str, Any], store: str | Path
) -> tuple[str | None, dict[str, Any], bool]:
    """The recipe and overrides of a strategy, with the schedules and files that it works on turned into their content.

    Also whether the recipe is a run's, from the store.

    The recipe of a run is taken where none is given, and the run's length is that of the schedule, stretched or not,
    where it is not given. A strategy that works on neither is left as it is. The schedule that a run under way has
    followed so far is turned into its content too.
    """
    settled, stored = dict(overrides), False
    if isinstance(past := settled.get(PAST), str) and number(past) is None:
        settled[PAST] = schedule_text(*schedule_given(store, past))
    prefix = f"strategy.{part.name}."
    for field in fields_of(part.params):
        source, marks = settled.get(prefix + field.name), [m for m in field.marks if isinstance(m, GivenSchedule)]
        if isinstance(source, str) and any(isinstance(mark, GivenFile) for mark in field.marks):
            settled[prefix + field.name] = text_of(source)
        if not marks or not isinstance(source, str):
            continue
        schedule, steps = schedule_given(store, source)
        settled[prefix + field.name] = schedule_text(schedule, steps)
        stretched = settled.get(prefix + marks[0].stretch)
        # A length that makes no sense is the strategy's to refuse, by the name that the user gave it.
        settled.setdefault("training.steps", stretched if isinstance(stretched, int) and stretched > 0 else steps)
        if recipe is None and not is_file(source):
            run = run_given(store, source)
            recipe, stored = str(run.store.runs.recipe_file(run.name)), True
            # Of that recipe, what is trained counts, and not what was asked for then.
            settled = {prefix + f.name: f.default for f in fields_of(part.params) if f.default is not MISSING} | settled
    return recipe, settled, stored
