"""What a place holds: the objects of a folder, or of a URL."""

from __future__ import annotations

from pathlib import Path

from lrctl.storage.folder import Folder
from lrctl.storage.location import is_url, location
from lrctl.storage.objects import Objects


def objects_at(place: str | Path) -> Objects:
    """What lies in a folder or at a URL.

    Raises:
        MissingError: what a URL needs is not installed.
        StoreError: the storage cannot be reached.
        UsageError: it is a URL that cannot be used.
    """
    where = location(place)
    if isinstance(where, str):
        from lrctl.storage.remote import Remote  # which takes fsspec

        return Remote(where)
    return Folder(where if is_url(place) else place)


def split(path: str | Path) -> tuple[Objects, str]:
    """What lies around a file or a URL, and its name there."""
    where = str(location(path))
    parent, _, name = where.rpartition("/")
    return objects_at(parent or "/"), name


def local(path: str | Path) -> Path:
    """A path on this machine with what is in a file or at a URL, to be read only."""
    if not is_url(path):
        return Path(path)
    objects, name = split(path)
    return objects.local(name)
