"""Files that are costly to make and easy to check: kept in the cache folder, made again when damaged."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from lrctl.errors import UsageError

LARGE = 2**26
"""A file of more bytes than this is read for its digest once in a process, unless it changes."""


def folder() -> Path:
    """Where cached files lie: `$LRCTL_CACHE`, else `$XDG_CACHE_HOME/lrctl`, else `~/.cache/lrctl`."""
    if own := os.environ.get("LRCTL_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrctl"


def cached(name: str, write: Callable[[BinaryIO], None]) -> tuple[Path, str]:
    """The cached file `name` and its sha256 in hex; `write` makes its content if it is missing or damaged.

    The name must tell the content: whoever makes the file makes the same bytes, so that several processes may
    do it at once. The digest lies beside the file and is checked each time.

    Raises:
        UsageError: the cache folder cannot be written.
    """
    path = folder() / name
    expected = intact(path)
    if expected is None:
        with writable():
            put(path, write)
            expected = found(path) or ""
            put(beside(path), lambda file: file.write(expected.encode()))
    return path, expected


@contextmanager
def writable() -> Iterator[None]:
    """Make the cache folder for the block, which writes in it.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        folder().mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(
            f"cache folder {folder()}: cannot be written ({error.strerror or error}); "
            "set LRCTL_CACHE to a folder that can"
        ) from error


def beside(path: Path) -> Path:
    """Where the digest of a cached file is kept."""
    return path.with_name(f"{path.name}.sha256")


def intact(path: Path) -> str | None:
    """The digest of a cached file if it is as it was made, else None."""
    expected = recorded(path)
    return expected if expected is not None and expected == found(path) else None


def recorded(path: Path) -> str | None:
    """The digest that was recorded when the file was made; None if there is none."""
    try:
        return beside(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None


def found(path: Path) -> str | None:
    """The digest of the file as it is now; None if it cannot be read."""
    try:
        about = path.stat()
        if about.st_size > LARGE:
            return read_once(path, about.st_ino, about.st_size, about.st_mtime_ns)
        return read(path)
    except OSError:
        return None


def read(path: Path) -> str:
    """The sha256 of a file in hex, whatever its size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=16)
def read_once(path: Path, _inode: int, _size: int, _changed: int) -> str:
    """The same, remembered for a file that has not changed since."""
    return read(path)


def put(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside, flush it to the disk and rename it: it is there whole or not at all."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
