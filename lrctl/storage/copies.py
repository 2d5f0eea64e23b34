"""Copies on this machine of what lies in a storage elsewhere: named by digest, checked where they are read.

Any number of processes share them. The oldest go once all together are larger than `LARGEST`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from lrctl.documents import cache_folder
from lrctl.errors import StoreError
from lrctl.storage import files
from lrctl.storage.opening import sweep

LARGEST = 10 * 10**9
"""Bytes of all copies together."""


def folder() -> Path:
    """Where they are.

    Raises:
        StoreError: it cannot be made.
    """
    made = cache_folder() / "checkpoints"
    try:
        made.mkdir(parents=True, exist_ok=True)
        sweep([made])
    except OSError as error:
        raise cannot_write(made, error) from error
    return made


def cannot_write(path: Path, error: OSError) -> StoreError:
    return files.cannot_write(path, error, "set LRCTL_CACHE to a folder that can")


@contextmanager
def aside() -> Iterator[Path]:
    """A path among the copies, for what is not whole yet; it is deleted after the block unless it was kept."""
    temporary = folder() / f"{files.ASIDE}{uuid4().hex}"
    try:
        yield temporary
    except OSError as error:
        raise cannot_write(temporary, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def keep(temporary: Path, name: str) -> Path:
    """Make a file that is whole the copy of this name."""
    path = temporary.with_name(name)
    temporary.replace(path)
    trim(path.parent)
    return path


def found(name: str) -> Path | None:
    """The copy of this name, which counts as used now."""
    path = folder() / name
    try:
        os.utime(path)
    except OSError:
        return None
    return path


def forget(name: str) -> None:
    files.remove(folder() / name)


def trim(place: Path) -> None:
    """Delete the copies that were used longest ago; the one used last stays, however large it is."""
    known = []
    for path in place.iterdir():
        with suppress(OSError):  # another process was faster
            if not path.name.startswith(files.ASIDE):
                known.append((path.stat().st_mtime, path.stat().st_size, path))
    total = 0
    for i, (_, size, path) in enumerate(sorted(known, reverse=True)):
        total += size
        if i and total > LARGEST:
            path.unlink(missing_ok=True)
