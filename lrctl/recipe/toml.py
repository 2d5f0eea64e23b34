"""Writing TOML: tables of JSON values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def tables(content: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables as TOML. None is left out."""
    lines: list[str] = []
    for name, table in content.items():
        if table:
            lines += [f"[{name}]", *(f"{spelt(k)} = {value(v)}" for k, v in table.items() if v is not None), ""]
    return "\n".join(lines)


def spelt(key: str) -> str:
    """A key as TOML: bare where that is allowed."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else value(key)


def value(item: Any) -> str:
    """A value as TOML: JSON's spelling, but for tables and for the character 7F.

    >>> value({"a": [1, "b"]})
    '{a = [1, "b"]}'
    """
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{spelt(k)} = {value(v)}" for k, v in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(map(value, item)) + "]"
    # JSON's \u escapes go in pairs beyond U+FFFF, which TOML refuses.
    return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")
