"""Files that are written at once or not at all, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from lrctl.contracts.canonical import digest, finite
from lrctl.errors import StoreError

ASIDE = ".lrctl-"
"""How the names of files begin that are being written."""


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, that is fsynced and renamed to it if the block succeeds.

    Raises:
        StoreError: the file cannot be written, for one because the disk is full.
    """
    temporary = path.with_name(f"{ASIDE}{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; what is gone already is no error."""
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except FileNotFoundError:  # another process deletes the same folder
        pass
    except OSError as error:
        raise StoreError(f"cannot delete {path}: {error.strerror or error}") from error


def cannot_write(path: Path, error: Exception) -> StoreError:
    reason = getattr(error, "strerror", None) or error
    return StoreError(
        f"cannot write {path}: {reason}; free some space or choose another --store, "
        "then give the same command to continue"
    )


def write_text(path: Path, text: str) -> None:
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write strict JSON at once or not at all; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(document), indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is none or it is damaged."""
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """A document as strict JSON has it, with a digest of it in place of the one it may have."""
    strict: dict[str, Any] = finite({name: value for name, value in document.items() if name != "digest"})
    return strict | {"digest": digest(strict)}


def write_signed(path: Path, document: dict[str, Any]) -> None:
    """Write strict JSON with a digest of it, which `read_signed` checks."""
    write_json(path, signed(document))


def read_signed(path: Path) -> dict[str, Any] | None:
    """A JSON object that was written with its digest; None where there is none, or it is not what was written."""
    document = read_json(path) or {}
    written = document.pop("digest", None)
    return document if written is not None and written == digest(document) else None


def file_digest(path: Path) -> str | None:
    """The sha256 of a file in hex, or None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
