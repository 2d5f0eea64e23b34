"""The export of what `RUN|schedule.json` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrctl.export.export import export
from lrctl.export.found_with import found_with
from lrctl.export.stretched import stretched
from lrctl.storage.given import is_file, run_given, schedule_file


@dataclass(frozen=True, slots=True)
class Export:
    """The text of a file, for how many steps its schedule is, and what it is from, for people.

    Attributes:
        told: what is known of its peak, where it was stretched.
    """

    text: str
    steps: int
    source: str
    told: str = ""


def exported(store: str | Path, source: str, to: str, module: str = "lr_schedule", steps: int | None = None) -> Export:
    """The schedule of a run or of a file for a target, with what it was found with, where a run tells.

    With `steps` it is stretched to so many.
    """
    named, found, known = source, None, None
    if is_file(source):
        schedule, own = schedule_file(source)
    else:
        run = run_given(store, source)
        schedule, own = run.schedule, run.result.steps
        named, found, known = f"run {run.name}", found_with(run), run.result.summary
    long = stretched(schedule, own, steps, known)
    line = (known or {}).get("watched_by")
    text = export(long.schedule, long.steps, to, source=named, module=module, found=found, told=long.told, line=line)
    return Export(text, long.steps, named, long.told)
