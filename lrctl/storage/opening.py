"""What makes a place a store; how a folder is made one, and rid of what killed processes left in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lrctl.errors import StoreError, UsageError
from lrctl.storage import files

FORMAT = "lrctl-store/2"

FOLDERS = ("jobs", "stopped", "losses", "checkpoints", "logs", "handed_over", "imported", "runs")

STALE = 3600.0
"""Seconds after which a file that a killed process left aside is swept away."""


MARKER = "store.json"
"""The file that makes a folder a store."""


def make(path: Path, shown: Path) -> None:
    """Make a folder a store unless it is one; `shown` is the path as the user gave it.

    Raises:
        OSError: it cannot be read or written.
        StoreError: a folder in it is a link.
        UsageError: it holds something else, or was written by an lrctl of another format.
    """
    marker = path / MARKER
    check_ours(path, marker, shown)
    for folder in FOLDERS:
        check_no_link(path, folder, shown)
        (path / folder).mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(marker):
        files.write_json(marker, {"format": FORMAT})
    check_format(files.read(marker), str(shown / marker.name))


def check_format(marker: bytes | None, where: str) -> None:
    if (found := (files.decoded(marker) or {}).get("format")) != FORMAT:
        raise UsageError(
            f"{where}: the store's format is {found!r}, this lrctl reads {FORMAT!r}; "
            "choose another --store, or give the command to the lrctl that wrote this one"
        )


def check_ours(path: Path, marker: Path, shown: Path) -> None:
    """Refuse a folder with other things in it: files are deleted in a store."""
    if not path.is_dir() or marker.exists():
        return
    others = [p.name for p in path.iterdir() if p.name not in FOLDERS and not p.name.startswith(files.ASIDE)]
    if others and not marker.exists():  # another process may have made it a store meanwhile
        raise not_ours(str(shown), others, "folder")


def not_ours(shown: str, others: list[str], kind: str) -> UsageError:
    return UsageError(
        f"--store {shown}: the {kind} is not a store and holds other things ({sorted(others)[0]}, ...); "
        f"choose an empty or new {kind}"
    )


def check_no_link(path: Path, folder: str, shown: Path) -> None:
    if (path / folder).is_symlink():
        raise StoreError(
            f"--store {shown}: {folder} in it is a link, and no link is followed out of a store, where files "
            "are deleted; put the folder itself there, or link to the store as a whole"
        )


def sweep(folders: Iterable[Path]) -> None:
    """Delete what killed processes left aside, unless it may still be in use."""
    for folder in folders:
        for left in () if folder.is_symlink() else folder.glob(f"{files.ASIDE}*"):
            with suppress(OSError, StoreError):  # another process swept it first, or the store can only be read
                if time.time() - left.lstat().st_mtime > STALE:
                    files.delete(left)
