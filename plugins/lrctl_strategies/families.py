"""Families of schedules as they are named on the command line: those that can be tuned, and those to compare with."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from lrctl.contracts.axes import tunable
from lrctl.contracts.params import fields_of
from lrctl.errors import UsageError, unknown
from lrctl.registry.registry import registry
from lrctl.registry.values import convert

SHARED = ("steps", "peak_lr", "initial_lr")
"""What all contenders have in common."""

ALIKE = "all begin with --initial-lr and run for --steps; set those instead"
"""Why contenders may not be given what they have in common."""

END_LR = 1e-7
"""Where the polynomial decay of transformers ends; its power is 1 by default."""


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


def contender(text: str, where: str, initial_lr: float, steps: int, warmup: float = 0.0, shared: str = ALIKE) -> Any:
    """The schedule `NAME` or `NAME:setting=value,...` with an initial LR; `where` says what named it.

    `shared` says why its settings may not have its LR and length among them.

    A family with a peak has it at the initial LR, and the warmup, in whole steps, if it takes one; with its other
    settings at their defaults, linear, cosine, polynomial and constant-with-warmup are those of transformers'
    `get_scheduler`.
    """
    name, _, settings = text.partition(":")
    family = registry().get("schedule", name, where).target
    known = {field.name for field in fields(family)}
    if not (lrs := known & {"peak_lr", "initial_lr"}):
        raise UsageError(f"{where}: its family has neither a field peak_lr nor initial_lr to begin with")
    made: dict[str, Any] = dict.fromkeys(lrs, initial_lr) | ({"steps": steps} if "steps" in known else {})
    made |= {"warmup": round(warmup * steps) / steps} if {"warmup", "peak_lr"} <= known else {}
    made |= {"power": 1.0, "end": min(1.0, END_LR / initial_lr)} if name == "polynomial" else {}
    made |= parsed(settings, family, where, shared)
    missing = {f.name for f in fields(family) if f.default is MISSING and f.default_factory is MISSING} - set(made)
    if missing:
        raise UsageError(f"{where}: {', '.join(sorted(missing))} must be given, as in {name}:setting=value")
    try:
        return family(**made)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def parsed(settings: str, family: Any, where: str, shared: str = ALIKE) -> dict[str, Any]:
    kinds = {field.name: field.type for field in fields_of(family)}
    values = {}
    for each in filter(None, settings.split(",")):
        name, equals, value = (part.strip() for part in each.partition("="))
        if name in SHARED:
            raise UsageError(f"{where}: {name}: {shared}")
        if name not in kinds:
            raise unknown("setting", name, kinds, where)
        if not equals or not value:
            raise UsageError(f"{where}: {name}: must be given a value, as in {name}=1")
        values[name] = convert(word(value), kinds[name], f"{where}: {name}")
    return values


def word(value: str) -> Any:
    """A word as the number, truth value or None that it stands for, else as it is."""
    if value.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
