"""Defaults, and the words about parts and parameters, as people read them."""

from __future__ import annotations

import re
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


def as_sentence(text: str) -> str:
    """Words as a sentence; what begins with a symbol or a list of names stays small.

    >>> as_sentence("weight decay"), as_sentence("n: a number"), as_sentence("WSD, cosine, ...")
    ('Weight decay.', 'n: a number.', 'WSD, cosine, ...')
    """
    if re.match(r"[a-z]+[ ;-]", text):
        text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
