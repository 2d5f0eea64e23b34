"""Files that are costly to make and easy to check: kept in the cache folder, made again when damaged."""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from lrctl.documents import cache_folder, open_regular, text
from lrctl.errors import UsageError

LARGE = 2**26
"""A file of more bytes than this is read for its digest once in a process, unless it changes."""
ASIDE = re.compile(r"\..+\.[0-9a-f]{32}")
"""The names of files that are being written."""
STALE = 3600.0
"""Seconds after which such a file is one that a killed process left."""

folder = cache_folder
"""Where cached files lie."""


def cached(name: str, write: Callable[[BinaryIO], None]) -> tuple[Path, str]:
    """The cached file `name` and its sha256 in hex; `write` makes its content if it is missing or damaged.

    The name must tell the content: whoever makes the file makes the same bytes, so that several processes may
    do it at once. The digest lies beside the file and is checked each time.
    """
    path = folder() / name
    digest = intact(path)
    if digest is None:
        with writable():
            put(path, write)
            digest = made = sha256(path)
            put(digest_file(path), lambda file: file.write(made.encode()))
    return path, digest


def is_cached(name: str) -> bool:
    """Whether the cached file `name` has been made; its content is not looked at."""
    return (folder() / name).exists() and recorded(folder() / name) is not None


def can_be_written() -> bool:
    """Whether the cache folder is there, or can be made, and can be written in."""
    there = next(each for each in (folder().absolute(), *folder().absolute().parents) if each.exists())
    return there.is_dir() and os.access(there, os.W_OK)


@contextmanager
def writable() -> Iterator[None]:
    """Make the cache folder for the block, which writes in it."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        sweep()
        yield
    except OSError as error:
        raise UsageError(
            f"cache folder {folder()}: cannot be written ({error.strerror or error}); "
            "set LRCTL_CACHE to a folder that can"
        ) from error


def sweep() -> None:
    """Delete what killed processes left aside, unless it may still be in use."""
    for left in folder().iterdir():
        with suppress(OSError):  # another process swept it first, or it is not ours
            if ASIDE.fullmatch(left.name) and time.time() - left.lstat().st_mtime > STALE:
                left.unlink()


def digest_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def intact(path: Path) -> str | None:
    """The digest of a cached file if it is as it was made, else None."""
    expected = recorded(path)
    try:
        return expected if expected is not None and expected == sha256(path) else None
    except OSError:
        return None


def recorded(path: Path) -> str | None:
    """The digest that was recorded when the file was made; None if there is none."""
    try:
        return text(digest_file(path))
    except (OSError, ValueError):
        return None


def sha256(path: Path) -> str:
    about = path.stat()
    # A small file is always read: it may change twice within one tick of the file system's clock.
    read = remembered if about.st_size > LARGE else remembered.__wrapped__
    return read(path, about.st_ino, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def remembered(path: Path, _inode: int, _size: int, _changed: int) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_digest(files: Iterable[Path], base: Path) -> str:
    """The sha256 of the names, relative to `base`, and the contents of files."""
    lines = (f"{file.relative_to(base).as_posix()} {sha256(file)}" for file in sorted(files))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def put(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file aside, flush it to the disk and rename it: it is there whole or not at all."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("xb") as file:
            write(file)
            flush(file)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def flush(file: BinaryIO) -> None:
    """Have all that was written on the disk."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def locked(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Hold a lock for the block; `wait` is called once if another process holds it.

    The system gives it free when its holder ends, in whatever way.
    """
    lock = FileLock(path)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        wait()
        held = lock.acquire()
    with held:
        yield
