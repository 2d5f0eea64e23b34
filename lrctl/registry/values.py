"""Values that nobody has checked yet, from a recipe or a flag, as the parameters that a dataclass declares."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING
from typing import Any, Literal, Union, get_args, get_origin

from lrctl.contracts.params import fields_of
from lrctl.documents import INTEGERS
from lrctl.errors import UsageError, unknown


def build(params: Any, values: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `params` from untrusted values.

    Raises:
        UsageError: a key is unknown or missing, or a value has the wrong type or range; begins with `where.key`.
    """
    declared = {field.name: field for field in fields_of(params)}
    for name in values:
        if name not in declared:
            raise unknown("key", name, declared, f"{where}.{name}")
    for name, field in declared.items():
        if field.default is MISSING and name not in values:
            what = f": {field.help}" if field.help else ""
            raise UsageError(f"{where}.{name}: missing; give a {type_name(field.type)}{what}")
    converted = {name: convert(value, declared[name].type, f"{where}.{name}") for name, value in values.items()}
    try:
        return params(**converted)
    except ValueError as error:
        raise UsageError(f"{where}.{error}") from error


def convert(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`, where nothing is lost: an int may stand for a float, a list for a tuple.

    Raises:
        UsageError: it is of another type.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is Literal:
        if value not in get_args(kind):
            allowed = ", ".join(map(repr, get_args(kind)))
            raise UsageError(f"{where}: must be one of {allowed}, got {value!r}")
        return value
    if origin in (Union, types.UnionType):
        return convert_any(value, get_args(kind), where)
    if origin is tuple and isinstance(value, list | tuple):
        item = get_args(kind)[0]
        return tuple(convert(each, item, f"{where}[{i}]") for i, each in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        return {key: convert(each, get_args(kind)[1], f"{where}.{key}") for key, each in value.items()}
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # an int may be too large for a float
            raise UsageError(f"{where}: must be a finite number, got {value}")
        return float(value)
    if kind is int and type(value) is int and value not in INTEGERS:
        raise UsageError(f"{where}: must be a whole number of at most 64 bits, got {value}")
    if kind in (int, str, bool) and type(value) is kind:
        return value
    raise UsageError(f"{where}: must be a {type_name(kind)}, got {value!r}")


def convert_any(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    """`value` as the first of several types that takes it."""
    if value is None and types.NoneType in kinds:
        return None
    *first, last = (kind for kind in kinds if kind is not types.NoneType)
    for kind in first:
        with suppress(UsageError):
            return convert(value, kind, where)
    return convert(value, last, where)


def type_name(kind: Any) -> str:
    """A type in words."""
    words = {int: "whole number", float: "number", str: "string", bool: "true or false"}
    if get_origin(kind) is tuple:
        return f"list of {type_name(get_args(kind)[0])}s"
    if get_origin(kind) is Mapping:
        return "table" if get_args(kind)[1] is Any else f"table of {type_name(get_args(kind)[1])}s"
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(type_name(each) for each in get_args(kind) if each is not types.NoneType)
    return words.get(kind, str(kind))
