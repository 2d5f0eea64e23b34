"""Files that are written at once or not at all, read whole or not at all, and deleted; links are never followed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from lrctl import documents
from lrctl.contracts.canonical import digest, finite
from lrctl.errors import StoreError

ASIDE = ".lrctl-"
"""How the names of files begin that are being written."""

FULL = (errno.ENOSPC, errno.EDQUOT)

UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What a file system says that cannot flush a folder, as those of networks and of WSL: it does so by itself."""

ELSEWHERE = "choose another --store, then give the same command to continue"


@contextmanager
def aside(path: Path, instead: str | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, that is fsynced and renamed to it if the block succeeds.

    In a store, which is where `instead` need not be given, a folder in the place of the file goes.

    Raises:
        StoreError: the file cannot be written, for one because the disk is full; `instead` says what to do then.
    """
    temporary = path.with_name(f"{ASIDE}{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if instead is None and path.is_dir() and not path.is_symlink():
            delete(path)
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error, instead) from error
    finally:
        with suppress(OSError):  # it is swept away later, and no reason to hide why it is there
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_aside(parent: Path) -> Iterator[Path]:
    """A temporary folder that is deleted after the block; a killed process leaves it to be swept away.

    Raises:
        StoreError: it cannot be made.
    """
    folder = parent / f"{ASIDE}{uuid4().hex}"
    try:
        folder.mkdir()
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield folder
    finally:
        remove(folder)


def is_plain(name: str) -> bool:
    """Whether this names one file or folder, without a dot in front, and so leads nowhere else."""
    try:
        return not (name.startswith(".") or set(name) & set("/\\\0")) and 0 < len(os.fsencode(name)) < 256
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where its file system can be told to."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def delete(path: Path) -> None:
    """Delete a file, a folder with all that is in it, or a link, but never what a link leads to.

    What is gone already is no error.

    Raises:
        StoreError: it cannot be deleted.
    """
    try:
        shutil.rmtree(path) if stat.S_ISDIR(path.lstat().st_mode) else path.unlink()
    except FileNotFoundError:  # perhaps another process deletes the same folder
        pass
    except OSError as error:
        raise StoreError(f"cannot delete {path}: {error.strerror or error}") from error


def take_away(folder: Path) -> None:
    """Delete a folder or a link so that at no moment half of it is there, whoever writes into it or is killed.

    Raises:
        StoreError: it cannot be deleted.
    """
    away = folder.with_name(f"{ASIDE}{uuid4().hex}")
    try:
        folder.rename(away)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"cannot delete {folder}: {error.strerror or error}") from error
    remove(away)


def remove(path: Path) -> None:
    """Delete what is of no use any more: where it cannot be, that is a warning."""
    try:
        delete(path)
    except StoreError as error:
        warn_of(error)


def warn_of(error: StoreError) -> None:
    """Tell of what is of no use any more, and cannot be deleted."""
    warnings.warn(f"{error}; it is of no use any more", stacklevel=3)


def size(path: Path) -> int:
    """The bytes of a file; 0 for what is no file, or gone, or cannot be looked at."""
    try:
        about = path.lstat()
    except OSError:
        return 0
    return about.st_size if stat.S_ISREG(about.st_mode) else 0


def cannot_write(path: Path, error: Exception, instead: str | None = None) -> StoreError:
    """The error for a file that cannot be written, for one because the disk is full."""
    reason = getattr(error, "strerror", None) or error
    full = getattr(error, "errno", None) in FULL or "os error 28" in str(error)  # as safetensors spells it
    return StoreError(f"cannot write {path}: {reason}; {'free some space or ' if full else ''}{instead or ELSEWHERE}")


def write(path: Path, content: bytes, instead: str | None = None) -> None:
    with aside(path, instead) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str, instead: str | None = None) -> None:
    write(path, text.encode(), instead)


def encoded(document: dict[str, Any]) -> bytes:
    """Strict JSON; numbers that are not finite become null."""
    return (json.dumps(finite(document), indent=1, allow_nan=False) + "\n").encode()


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write strict JSON at once or not at all; numbers that are not finite become null."""
    write(path, encoded(document))


def read(path: Path, limit: int = documents.LARGEST) -> bytes | None:
    """What is in a file of ours; None where there is none, or something else, or it cannot be read."""
    try:
        return documents.content(path, follow=False, limit=limit)
    except OSError:
        return None


def decoded(content: bytes | None) -> dict[str, Any] | None:
    """A JSON object, or None where there is none, or it is damaged."""
    try:
        document = documents.from_json(content or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """A document as strict JSON has it, with a digest of it in place of the one it may have."""
    strict: dict[str, Any] = finite({name: value for name, value in document.items() if name != "digest"})
    return strict | {"digest": digest(strict)}


def checked(content: bytes | None) -> dict[str, Any] | None:
    """A signed document; None where nothing was read, or it is not what was written with its digest."""
    document = decoded(content) or {}
    written = document.pop("digest", None)
    return document if written is not None and written == digest(document) else None


def file_digest(path: Path) -> str | None:
    """The sha256 of a file in hex, or None if there is none, or it cannot be read."""
    try:
        with documents.open_regular(path, follow=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
