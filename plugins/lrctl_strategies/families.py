"""The registered families that can be tuned and fitted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lrctl.contracts.axes import tunable
from lrctl.errors import UsageError
from lrctl.registry.registry import registry


def every_tunable() -> list[str]:
    return [part.name for part in registry().of("schedule") if tunable(part.target)]


def check_tunable(family: str, flag: str = "--family") -> Any:
    """The class of a family that can be tuned and fitted; `flag` named it."""
    target = registry().get("schedule", family, flag).target
    if not tunable(target):
        raise UsageError(
            f"{flag} {family}: it cannot be tuned; a family needs the fields 'steps' and 'peak_lr', a default for "
            "every other field, and LRs that are known before the run"
        )
    return target


def in_fractions(family: Any) -> dict[str, Any]:
    """What a family is made with so that its lengths are in fractions of the run, as every axis is."""
    return {"lengths": "fraction"} if any(f.name == "lengths" for f in fields(family)) else {}
