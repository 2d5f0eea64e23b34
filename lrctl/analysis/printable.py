"""Text from stores, recipes, plugins and users, as a terminal may be shown it."""

from __future__ import annotations

import unicodedata

LONGEST = 4000
"""Characters of one message: longer than any list of names that lrctl gives, shorter than a screen or two."""


def printable(text: str) -> str:
    r"""Text on one line, with all that could steer a terminal escaped: controls, ESC, DEL, C1, bidi, surrogates.

    >>> printable("a\x1b[2Jb\n\x7f\x9b\u202e\udc80")
    'a\\x1b[2Jb\\n\\x7f\\x9b\\u202e\\udc80'
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """As `printable`, but for the ends of its lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(text: str, longest: int = LONGEST) -> str:
    """Text without its middle where it is too long to be read.

    >>> shortened("x" * 60 + "yz", 40)
    'xxxxxxxxxxxxxxxxxxxx ... (22 more) ... xxxxxxxxxxxxxxxxxxyz'
    """
    half = longest // 2
    more = len(text) - 2 * half
    return text if more <= 0 else f"{text[:half]} ... ({more} more) ... {text[-half:]}"


def _escaped(character: str) -> str:
    # Spaces of other widths are as harmless as the plain one, and some languages are written with them.
    plain = character.isprintable() or unicodedata.category(character) == "Zs"
    return character if plain else character.encode("unicode_escape").decode()
