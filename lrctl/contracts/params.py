"""Frozen dataclasses as the description of parameters: their names, types, defaults and help."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter: its type without the annotation, its default (MISSING if it has none), its help.

    `marks` is what else stands in the annotation.
    """

    name: str
    type: Any
    default: Any
    help: str
    marks: tuple[Any, ...] = ()


UNKEYED = {"in_key": False}
"""Marks a field that decides no number, so that it enters no key: `field(default=..., metadata=UNKEYED)`."""


def identity(built: Any) -> dict[str, Any]:
    """The fields of an instance that decide a result, but for those at their default.

    So an option that is added later leaves all keys as they are. A default that is changed must raise `NUMERICS`.
    """
    return {
        field.name: value
        for field in dataclasses.fields(built)
        if field.metadata.get("in_key", True) and (value := getattr(built, field.name)) != default_of(field)
    }


def fields_of(params: Any) -> list[Field]:
    """The parameters that a dataclass declares, in the order of its signature: those by keyword only come last.

    The help is the string in `Annotated[type, "help"]`.
    """
    if params is None:
        return []
    hints = get_type_hints(params, include_extras=True)
    declared = sorted(dataclasses.fields(params), key=lambda field: bool(field.kw_only))
    return [field_of(each, hints[each.name]) for each in declared if each.init]


def field_of(declared: dataclasses.Field[Any], hint: Any) -> Field:
    """One parameter, from a dataclass's field and its type hint."""
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else [hint]
    told = next((extra for extra in extras if isinstance(extra, str)), "")
    marks = tuple(extra for extra in extras if not isinstance(extra, str))
    return Field(declared.name, kind, default_of(declared), told, marks)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass's field, made if need be; MISSING if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()
