"""The export of what `RUN|schedule.json` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrctl.export.export import export
from lrctl.export.found_with import found_with
from lrctl.storage.given import is_file, run_given, schedule_file


@dataclass(frozen=True, slots=True)
class Export:
    """The text of a file, for how many steps its schedule is, and what it is from, for people."""

    text: str
    steps: int
    source: str


def exported(store: str | Path, source: str, to: str, module: str = "lr_schedule") -> Export:
    """The schedule of a run or of a file for a target, with what it was found with, where a run tells."""
    if is_file(source):
        schedule, steps = schedule_file(source)
        return Export(export(schedule, steps, to, source=source, module=module), steps, source)
    run = run_given(store, source)
    named, steps = f"run {run.name}", run.result.steps
    text = export(run.schedule, steps, to, source=named, module=module, found=found_with(run))
    return Export(text, steps, named)
