"""How much the files of a folder take while something works in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

EVERY = 0.05
"""Seconds between two looks."""


class Peak:
    """The most bytes that were seen."""

    bytes = 0

    def look(self, folder: Path, pattern: str) -> None:
        """Add up the files that match."""
        self.bytes = max(self.bytes, sum(map(size, folder.glob(pattern))))


def size(path: Path) -> int:
    """The bytes of a file; 0 for what is no file, or gone."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


@contextmanager
def watched(folder: Path, pattern: str) -> Iterator[Peak]:
    """The peak of the files that match `pattern`, for the length of a block."""
    peak, over = Peak(), Event()

    def watch() -> None:
        while not over.wait(EVERY):
            peak.look(folder, pattern)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
        peak.look(folder, pattern)
    finally:
        over.set()
        watcher.join()
