"""Contract: what a store is kept in. Facts have names such as `jobs/KEY.json`, and each is put whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lrctl.documents import LARGEST


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies under a name.

    Attributes:
        name: its last part.
        size: its bytes; 0 of what is no file.
        modified: when it was put, in seconds since 1970.
    """

    name: str
    size: int
    modified: float


class Objects(Protocol):
    """A folder, or a place in an object storage.

    All raise StoreError where they cannot do what is asked for. What is not there, or is no file, is None or nothing.

    Attributes:
        shown: where it is as the user gave it, for messages.
        address: by which any process opens the same.
        shared: whether other processes see it at all.
        beside: where files are that people look at, such as reports: on this machine, as it is shown to them.
    """

    @property
    def shown(self) -> str: ...

    @property
    def address(self) -> Path | str: ...

    @property
    def shared(self) -> bool: ...

    @property
    def beside(self) -> Path: ...

    def is_store(self) -> bool:
        """Whether a store is kept here."""

    def prepare(self) -> None:
        """Make it a store unless it is one, and sweep away what killed processes left in it."""

    def where(self, name: str) -> str:
        """Where an object is, as the user gave where all are."""

    def read(self, name: str, limit: int = LARGEST) -> bytes | None:
        """All of an object; None also where it is larger than the limit."""

    def start(self, name: str, count: int) -> bytes:
        """Its first bytes."""

    def about(self, name: str) -> Entry | None: ...

    def put(self, name: str, content: bytes) -> None: ...

    def put_file(self, name: str, write: Callable[[Path], str]) -> str:
        """Put what `write` makes of a path on this machine; returns what it returns, which is its digest."""

    def touch(self, name: str) -> None:
        """Put an empty object; one that is there already is young again."""

    def local(self, name: str, digest: str | None = None) -> Path:
        """A path on this machine with what an object holds, to be read only. One of this digest need not be fetched.

        Raises:
            CheckpointError: there is none.
        """

    def forget(self, name: str, digest: str | None) -> bool:
        """Drop the copy on this machine, which may be damaged; whether copies are made at all."""

    def grown(self, name: str) -> AbstractContextManager[Path]:
        """A path on this machine that is written to for the length of a block, and lies here after it at the latest."""

    def scratch(self) -> Path:
        """A folder on this machine for what passes through."""

    def delete(self, name: str) -> None: ...

    def take_away(self, folder: str, fact: str) -> None:
        """Delete a folder at once, or where that cannot be, `fact` first: without it the rest is not what it was."""

    def entries(self, folder: str) -> list[Entry]:
        """What lies in a folder, by name, but for what is hidden."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in it, but for hidden ones and links."""

    def links(self, folder: str) -> list[str]: ...

    def is_link(self, name: str) -> bool: ...

    def size(self, folder: str = "") -> int:
        """The bytes of all that lies in it, at any depth."""

    def make_folder(self, name: str) -> None:
        """Make one for what is put there, where folders have to be made."""

    def has_folder(self, name: str) -> bool:
        """Whether a folder was made, and so could have been taken away."""
