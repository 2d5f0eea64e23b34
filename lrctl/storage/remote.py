"""A store in a storage that fsspec knows, such as S3: each fact is one object, put by one call.

Imports fsspec.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

from lrctl.documents import LARGEST
from lrctl.errors import CheckpointError, LrctlError, MissingError, StoreError, UsageError
from lrctl.storage import copies, files, opening
from lrctl.storage.objects import Entry

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""The extra of lrctl that brings what a protocol needs."""

TIMES = ("LastModified", "mtime", "updated", "last_modified", "modified", "created")
"""What storages call the time at which an object was put."""

ELSEWHERE = "check the bucket, the credentials and the network, or choose another --store"


@cache
def opened(url: str, process: int) -> tuple[Any, str]:  # noqa: ARG001 - an open connection does not survive a fork
    """The file system of a URL, and the path in it. No listing is kept, since others write at the same time.

    Raises:
        MissingError: what it needs is not installed.
        UsageError: fsspec knows no such storage, or it cannot be used as it is set up.
    """
    protocol = url.partition(":")[0]
    try:
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        extra = f"pip install 'lrctl[{EXTRAS[protocol]}]'" if protocol in EXTRAS else "install it"
        raise MissingError(f"--store {url}: the package for {protocol}: is not installed ({error}); {extra}") from error
    except ValueError as error:
        raise UsageError(f"--store {url}: {reason(error)}; give a folder, or a URL such as s3://BUCKET/PATH") from error
    except Exception as error:
        raise StoreError(f"--store {url}: cannot be opened: {reason(error)}; {ELSEWHERE}") from error
    return system, str(path).rstrip("/")


class Remote:
    """The objects below a URL."""

    beside = Path("lrctl-files")

    def __init__(self, url: str) -> None:
        self.shown = self.address = url
        self.shared = not url.startswith("memory:")
        self._opened()

    def _opened(self) -> tuple[Any, str]:
        return opened(self.shown, os.getpid())

    @property
    def _system(self) -> Any:
        return self._opened()[0]

    def _path(self, name: str) -> str:
        root = self._opened()[1]
        return f"{root}/{name}" if name else root

    def is_store(self) -> bool:
        return self.read(opening.MARKER) is not None

    def prepare(self) -> None:
        content = self.read(opening.MARKER)
        if content is None:
            others = [*(each.name for each in self.entries("")), *self.folders("")]
            content = self.read(opening.MARKER)  # another process may have made it a store meanwhile
            if others and content is None:
                raise opening.not_ours(self.shown, others, "prefix")
        if content is None:
            self.put(opening.MARKER, content := files.encoded({"format": opening.FORMAT}))
        opening.check_format(content, self.where(opening.MARKER))

    def where(self, name: str) -> str:
        return f"{self.shown}/{name}"

    def read(self, name: str, limit: int = LARGEST) -> bytes | None:
        content = self.start(name, limit + 1, missing=None)
        return None if content is None or len(content) > limit else content

    def start(self, name: str, count: int, missing: Any = b"") -> Any:
        with told(f"cannot read {self.where(name)}"), without():
            try:
                return self._system.cat_file(self._path(name), start=0, end=count)
            except FileNotFoundError:
                raise
            except Exception:
                if not (about := self.about(name)) or about.size:
                    raise
                return b""  # S3 has no first byte of an empty object to give
        return missing

    def about(self, name: str) -> Entry | None:
        with told(f"cannot read {self.where(name)}"), without():
            found = self._system.info(self._path(name))
            return entry(found) if found["type"] == "file" else None
        return None

    def put(self, name: str, content: bytes) -> None:
        with told(f"cannot write {self.where(name)}"):
            self._system.pipe_file(self._path(name), content)

    def put_file(self, name: str, write: Callable[[Path], str]) -> str:
        with copies.aside() as temporary:
            digest = write(temporary)
            with told(f"cannot write {self.where(name)}"):
                self._system.put_file(str(temporary), self._path(name))
            copies.keep(temporary, copy_of(name, digest))
        return digest

    def touch(self, name: str) -> None:
        self.put(name, b"")

    def local(self, name: str, digest: str | None = None) -> Path:
        if digest and (known := copies.found(copy_of(name, digest))):
            return known
        with copies.aside() as temporary:
            try:
                with told(f"cannot read {self.where(name)}", FileNotFoundError):
                    self._system.get_file(self._path(name), str(temporary))
            except FileNotFoundError as error:
                raise CheckpointError(f"{self.where(name)}: there is no such object") from error
            return copies.keep(temporary, copy_of(name, digest or str(files.file_digest(temporary))))

    def forget(self, name: str, digest: str | None) -> bool:
        if digest:
            copies.forget(copy_of(name, digest))
        return bool(digest)

    @contextmanager
    def grown(self, name: str) -> Iterator[Path]:
        with copies.aside() as temporary:
            try:
                yield temporary
            finally:
                if temporary.exists():
                    with told(f"cannot write {self.where(name)}"):
                        self._system.put_file(str(temporary), self._path(name))

    def scratch(self) -> Path:
        return copies.folder()

    def delete(self, name: str) -> None:
        with told(f"cannot delete {self.where(name)}"), without():
            self._system.rm_file(self._path(name))

    def take_away(self, folder: str, fact: str) -> None:
        self.delete(f"{folder}/{fact}")
        for name in self._found(folder):
            self.delete(f"{folder}/{name}")

    def entries(self, folder: str) -> list[Entry]:
        found = [entry(each) for each in self._listed(folder) if each["type"] == "file"]
        return sorted(found, key=lambda each: each.name)

    def folders(self, folder: str) -> list[str]:
        return sorted(last(each) for each in self._listed(folder) if each["type"] == "directory")

    def _listed(self, folder: str) -> list[Mapping[str, Any]]:
        path = self._path(folder)
        with told(f"cannot list {self.where(folder)}"), without():
            found = self._system.ls(path, detail=True)
            # Some list what stands for a folder itself, or a file of its name.
            inside = (each for each in found if each["name"].strip("/") != path.strip("/"))
            return [each for each in inside if not last(each).startswith(".")]
        return []

    def _found(self, folder: str) -> dict[str, Mapping[str, Any]]:
        """All that lies below a folder, by its name there."""
        path = self._path(folder).strip("/")
        inside = f"{path}/" if path else ""
        with told(f"cannot list {self.where(folder)}"), without():
            found = self._system.find(self._path(folder), detail=True)
            named = ((name.lstrip("/"), info) for name, info in found.items())
            return {name.removeprefix(inside): info for name, info in named if name.startswith(inside)}
        return {}

    def links(self, folder: str) -> list[str]:  # noqa: ARG002 - there are none
        return []

    def is_link(self, name: str) -> bool:  # noqa: ARG002
        return False

    def size(self, folder: str = "") -> int:
        return sum(entry(each).size for each in self._found(folder).values())

    def make_folder(self, name: str) -> None:
        """Nothing has to be made: a name with a slash in it is a name."""

    def has_folder(self, name: str) -> bool:  # noqa: ARG002
        return False


def copy_of(name: str, digest: str) -> str:
    """What the copy of an object is called: what it holds, and of which kind that is."""
    return f"{digest}{Path(name).suffix}"


def last(info: Mapping[str, Any]) -> str:
    return str(info["name"]).rstrip("/").rpartition("/")[2]


def entry(info: Mapping[str, Any]) -> Entry:
    return Entry(last(info), int(info.get("size") or 0), modified(info))


def modified(info: Mapping[str, Any]) -> float:
    """When an object was put; where that cannot be told, it counts as young, for nothing young is deleted."""
    when = next((info[name] for name in TIMES if info.get(name)), None)
    with suppress(ValueError):
        when = datetime.fromisoformat(when) if isinstance(when, str) else when
    if isinstance(when, datetime):
        return when.timestamp()
    return float(when) if isinstance(when, int | float) else time.time()


@contextmanager
def without() -> Iterator[None]:
    """Let pass that an object is missing, but not that its bucket is."""
    try:
        yield
    except FileNotFoundError as error:
        if "bucket does not exist" in str(error):  # as S3 says it
            raise


@contextmanager
def told(what: str, *passed: type[Exception]) -> Iterator[None]:
    """Errors of a storage's library, which are of any kind, as one sentence; `passed` are let through."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (LrctlError, *passed)):
            raise
        raise StoreError(f"{what}: {reason(error)}; {ELSEWHERE}") from error


def reason(error: Exception) -> str:
    """The first line of what an error says, and the next where that says what."""
    said = getattr(error, "strerror", None) or str(error)
    return said.strip().replace(":\n", ": ").partition("\n")[0].rstrip(".") or type(error).__name__
