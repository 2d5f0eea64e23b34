"""JSON with one spelling for each value, and digests of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


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
