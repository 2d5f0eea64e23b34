"""Places for a store, and what lies in them as paths: in a folder its own, elsewhere what stands for them."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath, PurePosixPath
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from benchmarks.reliability.faults import watched_storage
from lrctl.storage import copies
from lrctl.storage.folder import Folder
from lrctl.storage.objects import Objects
from lrctl.storage.places import objects_at
from lrctl.storage.store import Store

BUCKET = "bucket"

S3 = pytest.param("s3", marks=pytest.mark.s3)
STORAGES = ("folder", "memory", S3)
"""What the fixture `place` is tried with."""


def few_elsewhere(name: str, values: Sequence[Any], few: Collection[Any]) -> pytest.MarkDecorator:
    """Parametrise a costly test over all values in a folder, and over a few in memory and on S3.

    In memory the others are slow tests.
    """
    told = {each: getattr(each, "__name__", each) for each in values}
    cases = [pytest.param("folder", each, id=f"folder-{told[each]}") for each in values]
    for each in values:
        slow = () if each in few else pytest.mark.slow
        cases.append(pytest.param("memory", each, marks=slow, id=f"memory-{told[each]}"))
    cases += [pytest.param("s3", each, marks=pytest.mark.s3, id=f"s3-{told[each]}") for each in few]
    return pytest.mark.parametrize(("place", name), cases, indirect=["place"])


@dataclass(frozen=True)
class ObjectPath:
    """An object or a prefix, with as much of `Path` as tests need. It knows nothing that lrctl has not put there."""

    objects: Any
    key: str = ""

    def __truediv__(self, other: str) -> ObjectPath:
        return ObjectPath(self.objects, f"{self.key}/{other}".lstrip("/"))

    def joinpath(self, *others: str) -> ObjectPath:
        return self / "/".join(others)

    @property
    def pure(self) -> PurePosixPath:
        return PurePosixPath(self.key)

    @property
    def parent(self) -> ObjectPath:
        return ObjectPath(self.objects, "" if "/" not in self.key else str(self.pure.parent))

    @property
    def where(self) -> str:
        return str(self.objects._path(self.key))

    def __getattr__(self, name: str) -> Any:
        if name in ("name", "stem", "suffix"):
            return getattr(self.pure, name)
        raise AttributeError(name)

    def __fspath__(self) -> str:
        raise TypeError("an object of a storage is no file")

    def read_bytes(self) -> bytes:
        content: bytes = self.objects._system.cat_file(self.where)
        return content

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes) -> None:
        self.objects._system.pipe_file(self.where, bytes(content))

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode())

    def exists(self) -> bool:
        return bool(self.objects._system.exists(self.where))

    def is_file(self) -> bool:
        return bool(self.objects._system.isfile(self.where))

    def unlink(self) -> None:
        self.objects._system.rm_file(self.where)

    def rename(self, other: ObjectPath) -> None:
        for path in [self] if self.is_file() else [*self.rglob("*")]:
            ObjectPath(self.objects, other.key + path.key.removeprefix(self.key)).write_bytes(path.read_bytes())
            path.unlink()

    def stat(self) -> Any:
        entry = self.objects.about(self.key)
        return SimpleNamespace(st_size=entry.size, st_mtime_ns=int(entry.modified * 1e9), st_ino=0)

    def rglob(self, _: str) -> Iterator[ObjectPath]:
        root = self.objects._path("")
        for path in self.objects._system.find(self.where):
            yield ObjectPath(self.objects, path.removeprefix(root).lstrip("/"))

    def iterdir(self) -> Iterator[ObjectPath]:
        yield from (each for each in self.rglob("*") if each.parent == self)

    def relative_to(self, other: ObjectPath) -> PurePosixPath:
        return self.pure.relative_to(other.pure)

    def mkdir(self, **_: Any) -> None:
        """Prefixes are not made."""


def raw(place: Store | Path | str) -> Any:
    """What lies in a store, as paths."""
    objects: Objects = place.objects if isinstance(place, Store) else objects_at(place)
    return objects.path if isinstance(objects, Folder) else ObjectPath(objects)


def beside(place: Path | str, name: str) -> Path | str:
    """An address beside a store, in the same storage."""
    return place.with_name(name) if isinstance(place, Path) else f"{place.rpartition('/')[0]}/{name}"


def copy_into(place: Path | str, store: Path) -> None:
    """Put what lies in the folder of a store where nothing is, as it is."""
    for path in store.rglob("*"):
        if path.is_file():
            copy = raw(place).joinpath(*path.relative_to(store).parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


def forget_copies() -> None:
    """Be a machine that has fetched nothing yet."""
    for copy in copies.folder().iterdir():
        copy.unlink()


def read_only(*_: object, **__: object) -> None:
    """As a file system that can only be read answers."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


@contextmanager
def undeletable(which: Callable[[PurePath], bool]) -> Iterator[None]:
    """Have storages refuse to delete these files and objects for the length of a block, as if they were read-only."""
    unlink = Path.unlink

    def unlinking(path: Path, *arguments: Any, **options: Any) -> None:
        refuse(path)
        unlink(path, *arguments, **options)

    def before(method: str, changed: PurePosixPath | None) -> None:
        if method == "rm_file" and changed:
            refuse(changed)

    def refuse(path: PurePath) -> None:
        if which(path):
            read_only()

    with patch.object(Path, "unlink", unlinking), watched_storage(before):
        yield


def make_old(path: Any, seconds: float) -> None:
    """Date a file or an object back."""
    if isinstance(path, Path):
        os.utime(path, times=(time.time() - seconds,) * 2)
        return
    when = datetime.fromtimestamp(time.time() - seconds, UTC)
    if path.objects.shown.startswith("memory:"):
        path.objects._system.store[path.where].created = when
    else:
        from moto.s3.models import s3_backends

        backend = next(each["aws"] for each in s3_backends.values())
        backend.buckets[BUCKET].keys[path.where.removeprefix(f"{BUCKET}/")].last_modified = when.replace(tzinfo=None)


def fresh(kind: str, folder: Path) -> Path | str:
    """An address where nothing is: in a folder, in memory, or on the S3 of the tests."""
    if kind == "folder":
        return folder / "store"
    return f"{'s3://' + BUCKET if kind == 's3' else 'memory:/'}/{uuid4().hex}/store"


SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_served() -> Iterator[dict[str, str]]:
    """An S3 of this process with a bucket, as the environment variables that lead to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
    client = boto3.client("s3", endpoint_url=endpoint, **dict(zip(names, SETTINGS.values(), strict=True)))
    client.create_bucket(Bucket=BUCKET)
    client.close()
    try:
        yield {**SETTINGS, "AWS_ENDPOINT_URL": endpoint}
    finally:
        server.stop()


@contextmanager
def s3_here() -> Iterator[None]:
    with s3_served() as settings, patch.dict(os.environ, settings):
        yield
