"""What a value of a user's is, in a few words, for a message that refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def described(value: Any) -> str:
    """What a value is, in a few words: its kind, shape and keys, and those of what it holds."""
    if isinstance(value, Mapping):
        held = ", ".join(f"{name!r}: {kind(item)}" for name, item in list(value.items())[:5])
        return f"a {type(value).__name__} with {held or 'nothing'}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}: {', '.join(map(kind, value[:5])) or 'nothing'}"
    return repr(value) if value is None else f"a {kind(value)}"


def kind(value: Any) -> str:
    name = type(value).__name__
    shape = getattr(value, "shape", None)
    return f"{name.lower()} of shape {tuple(shape)}" if isinstance(shape, tuple) else name
