"""A checkpoint of a program's own, a file or a folder, as a state that `checkpoint` keeps: the bytes of each file.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import Any

import torch

from lrctl.errors import CheckpointError, ProgramError


def packed(path: Path) -> dict[str, Any]:
    """A file or folder as a state; its files may be deleted once the state is saved, and not before.

    Raises:
        ProgramError: there is none, or it holds something else: a link, a pipe.
    """
    try:
        if not S_ISDIR(path.lstat().st_mode):
            return {"file": content(path)}
        inside = {each.relative_to(path).as_posix(): each for each in sorted(path.rglob("*"))}
        folders = [name for name, each in inside.items() if S_ISDIR(each.lstat().st_mode)]
        return {"folders": folders, "files": [[n, content(p)] for n, p in inside.items() if n not in {*folders}]}
    except FileNotFoundError as error:
        raise ProgramError(f"it saved no checkpoint: there is no {error.filename}") from error
    except OSError as error:
        raise ProgramError(f"its checkpoint cannot be read: {error}") from error


def content(path: Path) -> torch.Tensor:
    """The bytes of a file, mapped into memory."""
    about = path.lstat()
    if not S_ISREG(about.st_mode):
        raise ProgramError(f"its checkpoint may hold files and folders, and {path.name} is a link or something else")
    if not about.st_size:
        return torch.empty(0, dtype=torch.uint8)
    return torch.from_file(str(path), size=about.st_size, dtype=torch.uint8)


def unpack(state: Mapping[str, Any], path: Path) -> None:
    """Write what `packed` took in to a path where nothing is.

    Raises:
        CheckpointError: the state is of something else, or leads out of the path.
    """
    if "file" in state:
        write(state["file"], path)
        return
    if not state.keys() >= {"files", "folders"}:
        raise CheckpointError("this is no checkpoint of a program's own")
    path.mkdir()
    for name in state["folders"]:
        (path / inner(name)).mkdir(parents=True, exist_ok=True)
    for name, tensor in state["files"]:
        write(tensor, path / inner(name))


def inner(name: str) -> str:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise CheckpointError(f"this checkpoint holds a file {name!r}, which would be written elsewhere")
    return name


def write(tensor: torch.Tensor, path: Path) -> None:
    with path.open("xb") as file:
        file.write(tensor.contiguous().numpy().data)
