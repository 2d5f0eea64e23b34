"""Schedules as JSON: the name of a registered family and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from reprlib import repr as short
from typing import Any

from lrctl import documents
from lrctl.contracts.canonical import canonical_json, digest
from lrctl.contracts.schedule import ScheduleRecord, params_of
from lrctl.errors import UsageError
from lrctl.registry.registry import registry

SCHEDULE_FORMAT = "lrctl-schedule/1"


def read_schedule(path: str | Path, where: str | None = None) -> tuple[Any, int]:
    """The schedule in a schedule.json, and for how many steps it is. Errors call it `where`, or by its path.

    Raises:
        UsageError: the file is not a schedule of this format, or its family is not registered.
    """
    return parse_schedule(text_of(path, " as a schedule.json", where), where or str(path))


def text_of(path: str | Path, what: str = "", where: str | None = None) -> str:
    """The text of a file.

    Raises:
        UsageError: it cannot be read, or is no text of a sane size.
    """
    try:
        return documents.text(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"{where or path}: cannot be read{what}: {reason}") from error


def parse_schedule(text: str, where: str) -> tuple[Any, int]:
    """The schedule in the text of a schedule.json, and for how many steps it is; `where` names it in errors.

    One that lrctl wrote holds a digest; one that was written by hand need not.

    Raises:
        UsageError: the text is not a schedule of this format, is not what was written, or its family is not registered.
    """
    try:
        document = documents.from_json(text)
    except ValueError as error:
        raise UsageError(f"{where}: must be a schedule.json, but it is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != SCHEDULE_FORMAT:
        found = f"format {short(document.get('format'))}" if isinstance(document, dict) else "no JSON object"
        raise UsageError(f"{where}: must be a schedule.json of format {SCHEDULE_FORMAT!r}, found {found}")
    if document.pop("digest", None) not in (None, digest(document)):
        raise UsageError(
            f"{where}: it is not what was written: its digest does not match; take the file as it was, "
            "or leave the digest out if you have changed it"
        )
    steps = document.get("steps")
    if type(steps) is not int or not 1 <= steps <= documents.LONGEST_RUN:
        raise UsageError(
            f"{where}: steps: must be a whole number from 1 to {documents.LONGEST_RUN:,}, got {short(steps)}"
        )
    match document.get("schedule"):
        case {"family": str(family), "params": dict(params)}:
            return rebuilt(ScheduleRecord(family, params), where), steps
    raise UsageError(f"{where}: schedule: must hold a family and its params, got {short(document.get('schedule'))}")


def schedule_text(schedule: Any, steps: int) -> str:
    """A schedule as `parse_schedule` reads it."""
    return canonical_json({"format": SCHEDULE_FORMAT, "steps": steps, "schedule": asdict(recorded(schedule))})


def recorded(schedule: Any) -> ScheduleRecord:
    """A schedule as JSON has it.

    Raises:
        UsageError: its family is not registered.
    """
    return ScheduleRecord(registry().family(schedule), params_of(schedule))


def rebuilt(record: ScheduleRecord, where: str) -> Any:
    """The schedule that a record stands for.

    Raises:
        UsageError: its family is not registered, or refuses the parameters.
    """
    part = registry().get("schedule", record.family, f"{where}: schedule.family")
    return build_schedule(part.target, record.params)


def build_schedule(family: Any, params: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `family` from JSON parameters (lists become tuples).

    Raises:
        UsageError: the parameters do not fit the family.
    """
    try:
        return family(**{name: tupled(value) for name, value in params.items()})
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"schedule family {family.__name__}: {error}") from error


def tupled(value: Any) -> Any:
    """`value` with every list turned into a tuple, as frozen dataclasses want it."""
    return tuple(tupled(item) for item in value) if isinstance(value, list | tuple) else value
