"""A store in a folder: each fact is a file that is written aside, fsynced and renamed. No link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lrctl import documents
from lrctl.documents import LARGEST
from lrctl.errors import StoreError
from lrctl.storage import files, opening
from lrctl.storage.objects import Entry


class Folder:
    """The objects of a folder, wherever the process goes."""

    shared = True

    def __init__(self, path: str | Path) -> None:
        self.beside, self.path = Path(path), Path(path).absolute()
        self.shown, self.address = str(self.beside), self.path

    def is_store(self) -> bool:
        try:
            return (self.path / opening.MARKER).is_file()
        except OSError as error:
            raise StoreError(
                f"--store {self.shown}: cannot be read: {error.strerror}; choose a folder that can"
            ) from error

    def prepare(self) -> None:
        try:
            opening.make(self.path, self.beside)
            runs = [self.path / "runs" / name for name in self.folders("runs")]
            kinds = (self.path / name for name in opening.FOLDERS)
            opening.sweep([self.path, *kinds, *runs, *(run / part for run in runs for part in ("report", "ahead"))])
        except OSError as error:
            reason = f"{error.strerror} ({error.filename})" if error.filename else error
            raise StoreError(f"--store {self.shown}: {reason}; choose a folder that can be read and written") from error

    def where(self, name: str) -> str:
        return str(self.beside / name)

    def read(self, name: str, limit: int = LARGEST) -> bytes | None:
        return files.read(self.path / name, limit)

    def start(self, name: str, count: int) -> bytes:
        try:
            with documents.open_regular(self.path / name, follow=False) as file:
                return file.read(count)
        except OSError:
            return b""

    def about(self, name: str) -> Entry | None:
        path = self.path / name
        try:
            found = path.lstat()
        except OSError:
            return None
        return Entry(path.name, found.st_size if stat.S_ISREG(found.st_mode) else 0, found.st_mtime)

    def put(self, name: str, content: bytes) -> None:
        files.write(self.path / name, content)

    def put_file(self, name: str, write: Callable[[Path], str]) -> str:
        with files.aside(self.path / name) as temporary:
            return write(temporary)

    def touch(self, name: str) -> None:
        path, flags = self.path / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        try:
            os.close(os.open(path, flags, 0o666))
        except OSError as error:
            raise files.cannot_write(path, error) from error

    def local(self, name: str, digest: str | None = None) -> Path:  # noqa: ARG002 - it is here already
        return self.path / name

    def forget(self, name: str, digest: str | None) -> bool:  # noqa: ARG002 - there is only the object itself
        return False

    def grown(self, name: str) -> AbstractContextManager[Path]:
        return nullcontext(self.path / name)

    def scratch(self) -> Path:
        return self.path / "checkpoints"

    def delete(self, name: str) -> None:
        files.delete(self.path / name)

    def take_away(self, folder: str, fact: str) -> None:  # noqa: ARG002 - all of it goes at once
        files.take_away(self.path / folder)

    def entries(self, folder: str) -> list[Entry]:
        names = sorted(each.name for each in self._in(folder))
        return [found for name in names if (found := self.about(f"{folder}/{name}"))]

    def folders(self, folder: str) -> list[str]:
        return sorted(each.name for each in self._in(folder) if each.is_dir(follow_symlinks=False))

    def links(self, folder: str) -> list[str]:
        return sorted(each.name for each in self._in(folder) if each.is_symlink())

    def _in(self, folder: str) -> Iterable[os.DirEntry[str]]:
        try:
            with os.scandir(self.path / folder) as entries:
                return [each for each in entries if not each.name.startswith(".")]
        except FileNotFoundError:
            return []

    def is_link(self, name: str) -> bool:
        return (self.path / name).is_symlink()

    def size(self, folder: str = "") -> int:
        walked = os.walk(self.path / folder)
        return sum(files.size(Path(inside, name)) for inside, _, names in walked for name in names)

    def make_folder(self, name: str) -> None:
        try:
            (self.path / name).mkdir(exist_ok=True)
        except OSError as error:
            raise files.cannot_write(self.path / name, error) from error

    def has_folder(self, name: str) -> bool:
        return (self.path / name).is_dir()
