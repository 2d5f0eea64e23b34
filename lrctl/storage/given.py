"""What a strategy is given to work on: the schedule of a run or a file, or the text of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from lrctl.contracts.params import fields_of
from lrctl.contracts.strategy import GivenFile, GivenSchedule
from lrctl.registry.parts import Part
from lrctl.registry.schedules import read_schedule, schedule_text, text_of
from lrctl.storage.runs import finished


def schedule_given(store: str | Path, source: str) -> tuple[Any, int]:
    """The schedule that `RUN|schedule.json` stands for, and for how many steps it is."""
    if is_file(source):
        return read_schedule(source)
    run = finished(store, source)
    return run.schedule, run.result.steps


def is_file(source: str) -> bool:
    """Whether `RUN|schedule.json` was given as a file."""
    return source.endswith(".json") or "/" in source


def settle(
    part: Part, recipe: str | None, overrides: Mapping[str, Any], store: str | Path
) -> tuple[str | None, dict[str, Any], bool]:
    """The recipe and overrides of a strategy, with the schedules and files that it works on turned into their content.

    Also whether the recipe is a run's, from the store.

    The recipe of a run is taken where none is given, and the run's length is that of the schedule, stretched or not,
    where it is not given. A strategy that works on neither is left as it is.
    """
    settled, stored = dict(overrides), False
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
            recipe, stored = str(finished(store, source).store.run(source) / "recipe.toml"), True
            # Of that recipe, what is trained counts, and not what was asked for then.
            settled = {prefix + f.name: f.default for f in fields_of(part.params) if f.default is not MISSING} | settled
    return recipe, settled, stored
