"""Encoded samples on the disk: an Arrow file that is written once and then mapped into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, TypeVar

from lrctl_workloads.data.cache import cached
from lrctl_workloads.finetune.task import Sample
from lrctl_workloads.network import Array

T = TypeVar("T")

PART, LABELS = "part", "label_names"
"""Columns beside those of the samples. The last row has nothing but the names of the labels, known at the end."""
PARTS = ("training", "validation", "test", "score")
CHUNK = 256
"""How many rows are encoded, and how many samples written, at a time."""


@dataclass(frozen=True, slots=True)
class Encoded:
    table: Any
    """The columns of the samples, a `datasets.Dataset`."""
    rows: Mapping[str, Array]
    """`training`, `validation`, `test`, `score` -> the rows of its samples, in the order they were made."""
    labels: tuple[str, ...]
    digest: str

    def size(self, part: str) -> int:
        return len(self.rows[part])

    def samples(self, part: str, numbers: Iterable[int]) -> list[Sample]:
        """The samples of a part that have these numbers, counted from 0."""
        columns = self.table[[int(self.rows[part][number]) for number in numbers]]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def encoded(name: str, samples: Callable[[], Iterable[tuple[str, Sample]]], labels: Callable[[], list[str]]) -> Encoded:
    """The data set of that name in the cache: as it was made before, else made of samples, each with its part.

    The name tells the content: whoever makes it makes the same, so that several processes may do it at once. The names
    of the labels are known when the samples have been made.
    """
    import numpy as np
    from datasets import Dataset
    from pyarrow import compute

    path, digest = cached(name, lambda file: write(file, iter(samples()), labels))
    table = Dataset.from_file(str(path))
    part = table.data.column(PART)
    rows = {name: np.flatnonzero(compute.equal(part, name).fill_null(False)) for name in PARTS}
    names = table[-1][LABELS]
    return Encoded(table.remove_columns([PART, LABELS]), rows, tuple(names), digest)


def write(file: BinaryIO, samples: Iterator[tuple[str, Sample]], labels: Callable[[], list[str]]) -> None:
    """Write samples as they come; memory holds a chunk of them, and no more."""
    import pyarrow

    first = list(islice(samples, 1))
    columns = {
        name: pyarrow.binary() if isinstance(value, bytes) else pyarrow.list_(pyarrow.int32())
        for _, sample in first
        for name, value in sample.items()
    }
    names = {PART: pyarrow.string(), LABELS: pyarrow.list_(pyarrow.string())}
    schema = pyarrow.schema(columns | names)
    with pyarrow.ipc.new_stream(file, schema) as stream:
        for chunk in chunks(chain(first, samples), CHUNK):
            rows = [{PART: part, **sample} for part, sample in chunk]
            stream.write_batch(pyarrow.RecordBatch.from_pylist(rows, schema))
        stream.write_batch(pyarrow.RecordBatch.from_pylist([{LABELS: labels()}], schema))


def compact(sample: Sample) -> Sample:
    import numpy as np

    return {name: np.asarray(row, np.int32) if isinstance(row, list) else row for name, row in sample.items()}


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
