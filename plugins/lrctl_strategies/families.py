"""The registered families that can be tuned and fitted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lrctl.errors import UsageError
from lrctl.plugins import registry
from lrctl.schedule import tunable


def every_tunable() -> list[str]:
    """The names of the families that can be tuned and fitted."""
    return [part.name for part in registry().of("schedule") if tunable(part.target)]


def check_tunable(family: str) -> None:
    """Refuse a family that cannot be tuned and fitted.

    Raises:
        UsageError: says what it lacks.
    """
    if not tunable(registry().get("schedule", family, "--family").target):
        raise UsageError(
            f"--family {family}: it cannot be tuned; a family needs the fields 'steps' and 'peak_lr', a default for "
            "every other field, and LRs that are known before the run"
        )


def in_fractions(family: Any) -> dict[str, Any]:
    """What a family is made with so that its lengths are in fractions of the run, as every axis is."""
    return {"lengths": "fraction"} if any(f.name == "lengths" for f in fields(family)) else {}
