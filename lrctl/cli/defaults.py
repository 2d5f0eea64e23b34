"""Defaults as people read them."""

from __future__ import annotations

from typing import Any


def shown(default: Any) -> str:
    """A default in full.

    >>> shown((0.001, 1e-05)), shown(True), shown(None), shown(()), shown(0)
    ('0.001, 1e-05', 'on', 'none', 'none', '0')
    """
    if isinstance(default, list | tuple) and default:
        return ", ".join(map(shown, default))
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, float):
        return f"{default:.12g}"
    return str(default) if default or default == 0 else "none"
