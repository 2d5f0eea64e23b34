"""A lock between processes: a file that is locked for as long as its holder has it open."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PAUSE = 0.5
"""Seconds between two attempts to lock."""


@contextmanager
def locked(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Hold a lock for the block; `wait` is called once if another process holds it.

    The system gives it free when its holder ends, in whatever way.
    """
    with path.open("ab") as file:
        if not try_lock(file):
            wait()
            while not try_lock(file):
                time.sleep(PAUSE)
        yield


def try_lock(file: BinaryIO) -> bool:
    """Whether the file could be locked for as long as it is open."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if not isinstance(error, BlockingIOError | PermissionError):
            raise
        return False
    return True
