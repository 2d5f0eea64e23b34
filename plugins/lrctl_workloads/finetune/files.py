"""The cache folder, packages that may be missing, and digests of files."""

from __future__ import annotations

import hashlib
import importlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from lrctl.errors import MissingError, UsageError

INSTALL = "run: pip install 'lrctl[transformers]'"


def folder() -> Path:
    """Where cached files lie: `$LRCTL_CACHE`, else `$XDG_CACHE_HOME/lrctl`, else `~/.cache/lrctl`."""
    if own := os.environ.get("LRCTL_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrctl"


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


def put(path: Path, content: bytes) -> None:
    """Write a small file aside, flush it to the disk and rename it: it is there whole or not at all."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def package(name: str) -> Any:
    """A package that only these workloads need, or a module of it.

    Raises:
        MissingError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise MissingError(f"workload.model: needs the package {top}, which cannot be imported; {INSTALL}") from error


def digest(files: Iterable[Path], base: Path) -> str:
    """The sha256 of the names, relative to `base`, and the contents of files."""
    lines = (f"{file.relative_to(base).as_posix()} {sha256(file)}" for file in sorted(files))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The sha256 of a file in hex, read once in a process unless it changes."""
    about = path.stat()
    return read_once(path, about.st_ino, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=1024)
def read_once(path: Path, _inode: int, _size: int, _changed: int) -> str:
    """The same, remembered for a file that has not changed since."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(error: BaseException) -> str:
    """An exception's type and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}".removesuffix(": ")
