"""The file system as a store sees it, with something that happens before one of its operations."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import patch

import safetensors.torch
from safetensors import SafetensorError

import lrctl.storage.checkpoint
from lrctl.storage import remote

Before = Callable[[str, Path], None]
"""Called with `write`, `open`, `fsync`, `rename`, `unlink`, `rmdir` or `mkdir` and a path; may raise an OSError."""

OPERATIONS = {
    **dict.fromkeys(("rename", "replace"), "rename"),
    **dict.fromkeys(("unlink", "remove"), "unlink"),
    **{name: name for name in ("fsync", "mkdir", "rmdir")},
}


class Written:
    """A file opened for writing, of which a failing write leaves the first half behind."""

    def __init__(self, file: Any, path: Path, before: Before) -> None:
        self.file, self.path, self.before = file, path, before

    def write(self, content: Any) -> Any:
        try:
            self.before("write", self.path)
        except OSError:
            self.file.write(content[: len(content) // 2])
            raise
        return self.file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@contextmanager
def watched(folder: Path, before: Before) -> Iterator[None]:
    """Have `before` called with each operation that changes something below a folder, for the length of a block."""
    folder = folder.resolve()

    def place(path: Any, dir_fd: int | None = None) -> Path | None:
        try:
            if isinstance(path, int):
                path = os.readlink(f"/proc/self/fd/{path}")
            elif dir_fd is not None:
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        except OSError:
            return None
        whole = Path(os.path.abspath(os.fsdecode(path)))
        return whole if whole.is_relative_to(folder) else None

    def changing(name: str) -> Any:
        original = getattr(os, name)

        def operation(path: Any, *others: Any, dir_fd: int | None = None, **options: Any) -> Any:
            if where := place(path, dir_fd):
                before(OPERATIONS[name], where)
            return original(path, *others, **options if dir_fd is None else {"dir_fd": dir_fd, **options})

        return operation

    def opening(path: Any, mode: str = "r", *others: Any, **options: Any) -> Any:
        where = None if isinstance(path, int) or not set(mode) & set("wax+") else place(path)
        if where is None:
            return opened(path, mode, *others, **options)
        before("open", where)
        return Written(opened(path, mode, *others, **options), where, before)

    def descriptor(path: Any, flags: int, *others: Any, **options: Any) -> int:
        if flags & os.O_CREAT and (where := place(path)):
            before("open", where)
        return opened_low(path, flags, *others, **options)

    def saving(tensors: Any, path: Any, *others: Any, **options: Any) -> None:
        """Safetensors writes by itself."""
        try:
            if where := place(path):
                before("write", where)
        except OSError as error:
            Path(path).touch()
            raise SafetensorError(f"Error while serializing: I/O error: {error} (os error {error.errno})") from error
        saved(tensors, path, *others, **options)

    opened, opened_low, saved = io.open, os.open, safetensors.torch.save_file
    with (
        patch.multiple(os, open=descriptor, **{name: changing(name) for name in OPERATIONS}),
        patch.object(builtins, "open", opening),
        patch.object(io, "open", opening),
        patch.object(lrctl.storage.checkpoint, "save_file", saving),
    ):
        yield


CHANGES = ("pipe_file", "put_file", "rm_file")
"""What lrctl has a storage of fsspec's do to its objects, each of which changes one."""


def changed_by(method: str, arguments: tuple[Any, ...]) -> PurePosixPath:
    """The object that a call changes."""
    return PurePosixPath(arguments[1] if method == "put_file" else arguments[0])


@contextmanager
def watched_storage(before: Callable[[str, PurePosixPath | None], None]) -> Iterator[None]:
    """Have `before` called with each call of a storage of fsspec's, and what it changes, for the length of a block."""
    opened = remote.opened

    class Watched:
        def __init__(self, system: Any) -> None:
            self.system = system

        def __getattr__(self, method: str) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                before(method, changed_by(method, arguments) if method in CHANGES else None)
                return getattr(self.system, method)(*arguments, **options)

            return call

    def instead(url: str, process: int) -> tuple[Any, str]:
        system, path = opened(url, process)
        return Watched(system), path

    with patch.object(remote, "opened", instead):
        yield
