"""JSON with one spelling for each value, digests of it, and dataclasses read back from it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints


def canonical_json(document: Any) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(document: Any) -> str:
    """The sha256 of a document's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def finite(value: Any) -> Any:
    """A JSON value with every number that is not finite replaced by None."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def listed(value: Any) -> Any:
    """`value` as JSON has it: every tuple and array a list, the numbers of numpy and torch as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: listed(item) for name, item in value.items()}
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


def tupled(value: Any) -> Any:
    """`value` with every list turned into a tuple, as frozen dataclasses want it."""
    return tuple(tupled(item) for item in value) if isinstance(value, list | tuple) else value


def from_json(kind: Any, value: Any) -> Any:
    """A dataclass, or what a field of one may hold, from its JSON: the inverse of `finite(dataclasses.asdict(...))`.

    Null is +inf where there must be a number, and None where there may be None.

    Raises:
        KeyError, TypeError, ValueError: the JSON is not of this kind.
    """
    if hasattr(kind, "__dataclass_fields__"):
        hints = hints_of(kind)
        return kind(**{name: from_json(hints[name], item) for name, item in dict(value).items()})
    origin, optional, inner = parts_of(kind)
    if optional:
        return None if value is None else from_json(inner[0], value)
    if origin is tuple:
        return tuple(from_json(inner[0], item) for item in value)
    if origin is Mapping:
        return {name: from_json(inner[1], item) for name, item in dict(value).items()}
    return math.inf if kind is float and value is None else value


hints_of = cache(get_type_hints)
"""The types of a dataclass's fields, looked up once."""


@cache
def parts_of(kind: Any) -> tuple[Any, bool, list[Any]]:
    """What is generic in a type, whether it may be None, and its arguments but for that: looked up once."""
    return get_origin(kind), NoneType in get_args(kind), [each for each in get_args(kind) if each is not NoneType]
