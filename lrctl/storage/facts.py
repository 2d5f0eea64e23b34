"""The documents that a store holds its facts in, and the names of those of jobs."""

from __future__ import annotations

from typing import Any

from lrctl.errors import StoreError
from lrctl.storage import files
from lrctl.storage.objects import Objects


class Facts:
    """Documents in a folder, or at a URL.

    Attributes:
        objects: what they are kept in.
    """

    def __init__(self, objects: Objects) -> None:
        self.objects = objects

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON object, or None where there is none, or it is damaged."""
        return files.decoded(self.objects.read(name))

    def read_signed(self, name: str) -> dict[str, Any] | None:
        """A JSON object that was written with its digest; None where there is none, or it is not what was written."""
        return files.checked(self.objects.read(name))

    def write_signed(self, name: str, document: dict[str, Any]) -> None:
        """Write strict JSON with a digest of it, which `read_signed` checks."""
        self.objects.put(name, files.encoded(files.signed(document)))

    def remove(self, name: str) -> None:
        """Delete what is of no use any more: where it cannot be, that is a warning."""
        try:
            self.objects.delete(name)
        except StoreError as error:
            files.warn_of(error)

    def _name(self, folder: str, key: str, suffix: str = "") -> str:
        # Keys are read from files too, and files of jobs can be deleted, so this must never be another file.
        if not files.is_plain(key):
            raise StoreError(
                f"{self.objects.shown}: {key!r} is no key of a job, so the store is damaged; choose another --store"
            )
        return f"{folder}/{key}{suffix}"

    def _checkpoint(self, key: str) -> str:
        return self._name("checkpoints", key, ".safetensors")
