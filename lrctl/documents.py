"""Files that are read whole: regular ones of a sane size only, as text, JSON or TOML within limits."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import tomllib
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

LARGEST = 2**26
"""A file of more bytes is no recipe, schedule or record."""

DEEPEST = 64
"""Levels of lists and tables; what is nested deeper is no document of ours."""

LONGEST_RUN = 10**7
"""Steps of the longest run: the LR and loss of each step are kept, and a longer one is a slip of the pen."""

INTEGERS = range(-(2**64), 2**64)
"""The whole numbers that a document may hold: a seed has up to 64 bits."""


def open_regular(path: Path, *, follow: bool = True) -> BufferedReader:
    """A regular file, for reading; `follow` says whether the path may be a link.

    Raises:
        OSError: it cannot be read, or is something else: a device or a pipe may never end.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def content(path: Path, *, follow: bool = True, limit: int = LARGEST) -> bytes:
    """The bytes of a regular file that is not larger than a document may be, or than another limit.

    Raises:
        OSError: it cannot be read, is something else, or is larger.
    """
    with open_regular(path, follow=follow) as file:
        read = file.read(limit + 1)
    if len(read) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit >> 20} MiB", str(path))
    return read


def text(path: Path) -> str:
    """The text of a file, with the line ends of Unix.

    Raises:
        OSError: as `content`.
        ValueError: it is not UTF-8.
    """
    return content(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def from_json(document: bytes | str) -> Any:
    """A JSON value: strict, of numbers that are finite, of text that is Unicode, and not too deep.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(document, parse_constant=not_json)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from None
    return within_limits(found, finite=True)


def from_toml(document: str) -> dict[str, Any]:
    """The tables of a TOML text that is not too deep.

    Raises:
        ValueError: it is no TOML.
    """
    try:
        found = tomllib.loads(document)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} levels deep") from None
    within_limits(found, finite=False)
    return found


def not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def within_limits(value: Any, *, finite: bool) -> Any:
    """The value itself, level by level so that no depth is too much for this."""
    level = [value]
    for _ in range(DEEPEST):
        for each in level:
            if isinstance(each, int) and each not in INTEGERS:
                raise ValueError("a whole number of more than 64 bits")
            if isinstance(each, float) and finite and not math.isfinite(each):
                raise ValueError("a number that is too large")
            if isinstance(each, str) and not each.isascii():
                each.encode()  # half of a surrogate pair is a ValueError
        level = [item for each in level if isinstance(each, dict | list) for item in items(each)]
        if not level:
            return value
    raise ValueError(f"nested more than {DEEPEST} levels deep")


def items(value: dict[str, Any] | list[Any]) -> list[Any]:
    return [*value, *value.values()] if isinstance(value, dict) else value


def cache_folder() -> Path:
    """Where files are that can be had again: `$LRCTL_CACHE`, else `$XDG_CACHE_HOME/lrctl`, else `~/.cache/lrctl`."""
    if own := os.environ.get("LRCTL_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrctl"
