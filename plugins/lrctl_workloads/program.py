"""The `program` workload: a training program of the user's own, started once for each job."""

from __future__ import annotations

import hashlib
import math
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from lrctl.contracts.canonical import digest
from lrctl.contracts.params import UNKEYED
from lrctl.documents import open_regular
from lrctl.errors import UsageError


@dataclass(frozen=True)
class ProgramParams:
    command: Annotated[str, "the command that trains, with its arguments; no shell reads it"] = ""
    depends: Annotated[tuple[str, ...], "files and folders that decide what it trains, but are not named in it"] = ()
    timeout: Annotated[float, "seconds after which a job that has not ended counts as hung; 0: never"] = field(
        default=0.0, metadata=UNKEYED
    )

    gpus: Annotated[
        int, "GPUs that each job has to itself; as many jobs run at a time as there are for; 0: all that lrctl sees"
    ] = field(default=0, metadata=UNKEYED)

    def __post_init__(self) -> None:
        if self.gpus < 0:
            raise ValueError(f"gpus: must be at least 0, got {self.gpus}")
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise ValueError(f"command: {str(error).lower()} in {self.command!r}") from error
        if not 0 <= self.timeout < math.inf:
            raise ValueError(f"timeout: must be finite and at least 0, got {self.timeout}")


@dataclass(frozen=True)
class OwnProgram:
    """A command, and the files that decide what it trains."""

    params: ProgramParams

    @cached_property
    def argv(self) -> list[str]:
        return shlex.split(self.params.command)

    @property
    def timeout(self) -> float:
        return self.params.timeout

    def prepare(self) -> str:
        """A digest of the files that the command names, and of those it is said to depend on."""
        if not self.argv:
            raise UsageError('workload.command: missing; give --program "python train.py ..."')
        if shutil.which(self.argv[0]) is None:
            if self.argv[0].endswith(".py"):
                raise UsageError(
                    f"workload.command: {self.argv[0]} is no command; did you mean --program "
                    f"{shlex.quote(f'python {self.params.command}')}?"
                )
            raise UsageError(
                f"workload.command: there is no command '{self.argv[0]}'; see how you start it in a shell, from here"
            )
        return digest({name: file_digest(path) for name, path in [*self.named(), *self.depended_on()]})

    def named(self) -> Iterator[tuple[str, Path]]:
        """The files among the words of the command, and behind the = of one such as --config=FILE."""
        for word in self.argv:
            for name in (word, word.partition("=")[2]):
                if name and os.path.isfile(name):
                    yield name, Path(name)

    def depended_on(self) -> Iterator[tuple[str, Path]]:
        for name in self.params.depends:
            path = Path(name)
            if path.is_dir():
                yield from (
                    (str(each), each)
                    for each in sorted(path.rglob("*"))
                    if each.is_file() and kept(each.relative_to(path))
                )
            elif path.is_file():
                yield name, path
            else:
                raise UsageError(f"workload.depends: there is no file or folder {name}; paths are taken from here")


def kept(path: Path) -> bool:
    """Whether a file of a folder counts: nothing hidden does, and nothing that Python makes itself."""
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def file_digest(path: Path) -> str:
    try:
        about = path.stat()
        return known_digest(path.absolute(), about.st_ino, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise UsageError(f"workload: {path} decides what the program trains, and cannot be read: {error}") from error


@lru_cache(maxsize=4096)
def known_digest(path: Path, *_as_it_is: int) -> str:
    """The sha256 of a file, read once as long as it is as it is."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def program(params: ProgramParams, seed: int) -> OwnProgram:  # noqa: ARG001
    """The workload; its jobs tell the seed."""
    return OwnProgram(params)
