"""The records of jobs as JSON, and dataclasses read back from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lrctl.contracts.canonical import finite
from lrctl.contracts.result import JobRecord
from lrctl.storage.files import is_plain

OPTIONAL = [
    "scores",
    "evaluated",
    "gradient_norms",
    "extra_forwards",
    "at_least",
    "discarded",
    "remade",
    "remaking",
    "weights",
    "lr_scales",
]
"""Fields that are left out of a document where they say nothing."""


def record_document(record: JobRecord) -> dict[str, Any]:
    """A job's record as strict JSON: a number that is not finite becomes null."""
    document: dict[str, Any] = finite(asdict(record))
    del document["failure"]
    for name in OPTIONAL:
        if not document[name] and getattr(record, name) in (None, 0, {}, "", ()):
            del document[name]
    return document


def job_record(document: Mapping[str, Any]) -> JobRecord:
    """The inverse of `record_document`; a null loss is +inf again.

    Raises:
        KeyError, TypeError, ValueError: it is no such document, or one with other fields.
    """
    record: JobRecord = from_json(JobRecord, document)
    if record.parent is not None and not is_plain(record.parent):
        raise ValueError(f"parent: must be the key of a job, got {record.parent!r}")
    return record


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
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(from_json(inner[0], item) for item in value)
    if origin is Mapping:
        return {name: from_json(inner[1], item) for name, item in dict(value).items()}
    if kind is float and value is None:
        return math.inf
    allowed = (int, float) if kind is float else (kind,)
    if origin is tuple or (kind in (int, float, str, bool) and type(value) not in allowed):
        raise TypeError(f"must be of type {kind}, got one of {type(value)}")
    if origin is Literal and value not in get_args(kind):
        raise ValueError(f"must be one of {get_args(kind)}, got another")
    return value


hints_of = cache(get_type_hints)
"""The types of a dataclass's fields, looked up once."""


@cache
def parts_of(kind: Any) -> tuple[Any, bool, list[Any]]:
    """What is generic in a type, whether it may be None, and its arguments but for that: looked up once."""
    return get_origin(kind), NoneType in get_args(kind), [each for each in get_args(kind) if each is not NoneType]
