"""Encoded samples on the disk: columns of rows of any length, written once and then mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lrctl_workloads.data.cache import files_digest, folder, writable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Sample = Mapping[str, "bytes | list[int] | array[int]"]
"""A sample's columns: token ids and other small numbers, or the bytes of a file."""

INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Column:
    """Rows of any length, one after another.

    Attributes:
        values: int32, or uint8 where the rows are bytes.
        ends: where each row ends in the values, shape (rows,), int64.
    """

    values: Array
    ends: Array

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.ends)

    def __getitem__(self, row: int) -> Array:
        """A row."""
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]


@dataclass(frozen=True, slots=True)
class Packed:
    """A data set, encoded.

    Attributes:
        parts: the columns of `training`, `validation`, `test` and `score`; a part without samples is missing.
        labels: the names of the labels, if the data has labels.
        digest: of all of it.
    """

    parts: Mapping[str, Mapping[str, Column]]
    labels: tuple[str, ...]
    digest: str

    def size(self, part: str) -> int:
        """How many samples a part has."""
        return len(next(iter(self.parts[part].values()))) if part in self.parts else 0

    def samples(self, part: str, rows: Iterable[int]) -> list[dict[str, Array]]:
        """The samples in these rows of a part."""
        columns = self.parts[part].items()
        return [{name: column[row] for name, column in columns} for row in map(int, rows)]


@dataclass(slots=True)
class Growing:
    """A column that is being written."""

    file: BinaryIO
    kind: str
    ends: array[int]
    total: int = 0

    def add(self, row: bytes | list[int] | array[int]) -> None:
        """Write a row."""
        self.file.write(row if isinstance(row, bytes) else array("i", row).tobytes())
        self.total += len(row)
        self.ends.append(self.total)


def compact(sample: Sample) -> Sample:
    """The same sample in less memory."""
    return {name: array("i", row) if isinstance(row, list) else row for name, row in sample.items()}


def packed(key: str, samples: Callable[[], Iterable[tuple[str, Sample]]], labels: Callable[[], list[str]]) -> Packed:
    """The data set of that key, encoded: as it was made before, else made of these samples.

    Args:
        key: tells the content: whoever makes it makes the same, so that several processes may do it at once.
        samples: each with the part it belongs to.
        labels: the labels' names, known when the samples have been made.

    Raises:
        UsageError: the cache folder cannot be written.
    """
    path = place(key)
    if (found := opened(path)) is not None:
        return found
    with writable():
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            write(aside, samples, labels)
            shutil.rmtree(path, ignore_errors=True)  # it was damaged, or is not there
            try:
                aside.rename(path)
            except OSError:  # another process was faster
                if not path.is_dir():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    made = opened(path)
    assert made is not None
    return made


def place(key: str) -> Path:
    """Where the data set of that key lies."""
    return folder() / f"encoded-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def is_there(key: str) -> bool:
    """Whether the data set of that key has been made."""
    return (place(key) / INDEX).is_file()


def write(path: Path, samples: Callable[[], Iterable[tuple[str, Sample]]], labels: Callable[[], list[str]]) -> None:
    """Write samples as files of a new folder; memory holds where rows end, and no more."""
    import numpy as np

    path.mkdir()
    columns: dict[str, Growing] = {}
    with ExitStack() as stack:
        for part, sample in samples():
            for name, row in sample.items():
                column = columns.get(f"{part}.{name}")
                if column is None:
                    file = stack.enter_context((path / f"{part}.{name}.values").open("xb"))
                    column = Growing(file, "uint8" if isinstance(row, bytes) else "int32", array("q"))
                    columns[f"{part}.{name}"] = column
                column.add(row)
    for name, column in columns.items():
        np.save(path / f"{name}.ends.npy", np.asarray(column.ends, np.int64))
    kinds = {name: column.kind for name, column in columns.items()}
    about = {"columns": kinds, "labels": labels(), "digest": files_digest(path.iterdir(), path)}
    for file_path in path.iterdir():
        flush(file_path)
    (path / INDEX).write_text(json.dumps(about), encoding="utf-8")
    flush(path / INDEX)


def flush(path: Path) -> None:
    """Flush a file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def opened(path: Path) -> Packed | None:
    """A data set as it was made; None if there is none, or it is damaged."""
    import numpy as np

    try:
        about = json.loads((path / INDEX).read_text(encoding="utf-8"))
        if files_digest((file for file in path.iterdir() if file.name != INDEX), path) != about["digest"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    parts: dict[str, dict[str, Column]] = {}
    for name, kind in about["columns"].items():
        part, column = name.split(".", 1)
        file = path / f"{name}.values"
        # Plain views: numpy's own class for mapped files makes each indexing slow.
        values = np.asarray(np.memmap(file, kind, "r")) if file.stat().st_size else np.empty(0, kind)
        parts.setdefault(part, {})[column] = Column(values, np.load(path / f"{name}.ends.npy"))
    names = "\n".join(about["labels"])
    return Packed(parts, tuple(about["labels"]), hashlib.sha256(f"{about['digest']}\n{names}".encode()).hexdigest())
