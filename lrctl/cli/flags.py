"""The flags of a strategy's own: the fields of its parameters."""

from __future__ import annotations

import inspect
import types
from dataclasses import MISSING
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from lrctl.analysis.printable import printable
from lrctl.cli import completion
from lrctl.cli.defaults import as_sentence, shown
from lrctl.cli.options import GIVEN
from lrctl.contracts.params import Field, fields_of
from lrctl.contracts.strategy import GivenSchedule
from lrctl.errors import UsageError
from lrctl.recipe.parse import DEPENDS, PROGRAM
from lrctl.registry.parts import Part
from lrctl.registry.registry import registry
from lrctl.registry.values import type_name

NUMBERS: dict[Any, str] = {int: "INTEGER", float: "NUMBER"}

RECIPE_KEYS = {
    "workload": "workload.name",
    "executor": "executor.name",
    "steps": "training.steps",
    "seed": "training.seed",
    "device": "training.device",
    "workers": "executor.workers",
    "speculate": "executor.speculate",
    "from_checkpoint": "start.checkpoint",
    "at": "start.at",
    "past": "start.past",
    "track": "track.names",
    "unchecked": "training.unchecked",
}
"""Which key of the recipe a shared option sets. The names come first: another part starts from its defaults."""


def program(options: dict[str, Any]) -> dict[str, Any]:
    """What `--program COMMAND` sets: the workload that starts programs, its command, and what it depends on."""
    depends = {DEPENDS: options["depends"]} if options.get("depends") else {}
    if options["program"] is None:
        return depends
    if options["workload"] is not None:
        raise UsageError("--program: it is a workload itself; leave --workload out")
    name, *_ = registry().marked("workload", "program")
    return {"workload.name": name, PROGRAM: options["program"], **depends}


def own_options(part: Part) -> list[inspect.Parameter]:
    """A strategy's own options, one per field of its parameters; unset is None, so that the recipe can decide."""
    options = []
    for field in fields_of(part.params):
        if field.name == "seeds" and field.type != tuple[int, ...]:
            raise TypeError(f"{part}: seeds: every search takes the seeds to search with; make it tuple[int, ...]")
        told: dict[str, Any] = {"help": sentence(field), "show_default": False}
        declared: Any = typer.Option(**told, metavar=metavar(field.type), case_sensitive=False)
        if any(isinstance(mark, GivenSchedule) for mark in field.marks):
            # A run's frozen recipe holds it already.
            declared = typer.Argument(**told, metavar=GIVEN)
        declared.autocompletion = completion.runs if declared.metavar == GIVEN else completion.FIELDS.get(field.name)
        kind: Any = Annotated[flag_type(field.type), declared]
        options.append(inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
    return options


def quoted(text: str) -> str:
    """Text as it stands in Typer's help, which takes brackets for Rich's markup."""
    from rich.markup import escape

    return escape(printable(text))


def sentence(field: Field) -> str:
    """The help of a flag as a sentence, and its default in full where the help does not tell it."""
    text = quoted(as_sentence(field.help))
    given = any(isinstance(mark, GivenSchedule) for mark in field.marks)
    if given or "Default:" in text:
        return text
    default = "It is required." if field.default is MISSING else f"Default: {quoted(shown(field.default))}."
    return f"{text} [dim]{default}[/dim]".strip()


def metavar(kind: Any) -> str:
    """What the help shows for what a flag takes: nothing for a switch."""
    kind = required(kind)
    if get_origin(kind) is tuple:
        return "TEXT" if get_args(kind)[0] is str else f"{NUMBERS[get_args(kind)[0]]},..."
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    return NUMBERS.get(kind, "" if kind is bool else "TEXT")


def flag_type(kind: Any) -> Any:
    """What Typer is told of a field's type: numbers are typed as a comma list, words by repeating the option."""
    kind = required(kind)
    if get_origin(kind) is tuple:
        return list[str] | None if get_args(kind)[0] is str else str | None
    if kind not in (int, float, str, bool) and get_origin(kind) is not Literal:
        raise TypeError(f"{kind} cannot be a flag; use int, float, str, bool, Literal[...] or tuple[..., ...]")
    return kind | None


def required(kind: Any) -> Any:
    """The type that an optional one stands for, or the type itself."""
    options = {*get_args(kind)} if get_origin(kind) in (Union, types.UnionType) else set()
    return (options - {types.NoneType}).pop() if types.NoneType in options and len(options) == 2 else kind


def given(part: Part, options: dict[str, Any]) -> dict[str, Any]:
    """The strategy's own flags that were given, as recipe keys and values."""
    values = {}
    for field in fields_of(part.params):
        value, kind = options[field.name], required(field.type)
        if value is None or value == []:
            continue
        if isinstance(value, list):
            value = [word for word in value if word]  # '' alone is none at all
        elif get_origin(kind) is tuple:
            value = split(value, get_args(kind)[0], f"--{field.name.replace('_', '-')}")
        values[f"strategy.{part.name}.{field.name}"] = value
    return values


def split(text: str, kind: Any, flag: str) -> list[Any]:
    try:
        return [kind(item) for item in text.split(",") if item.strip()]
    except ValueError as error:
        raise UsageError(f"{flag} {text}: must be {type_name(kind)}s with commas between them") from error
