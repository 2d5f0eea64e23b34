"""Rows of a data set as the samples of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lrctl.errors import unknown
from lrctl_workloads.data.tables import reading
from lrctl_workloads.finetune.encoded import chunks, compact
from lrctl_workloads.finetune.labels import Labels, declared_by
from lrctl_workloads.finetune.params import TaskParams
from lrctl_workloads.finetune.sources import Source
from lrctl_workloads.finetune.split import partition, subsets
from lrctl_workloads.finetune.task import Row, Sample, Task

CHUNK = 256
"""How many rows are encoded at a time."""


def encode(task: Task, params: TaskParams, labels: Labels) -> Iterator[tuple[str, Sample]]:
    """Every sample, with its part; `labels` learns the labels that there are."""
    source = Source(params.data)
    splits = source.splits()
    columns = {name: str(getattr(params, name)) for name in task.columns}
    features = getattr(splits.get(params.train_split), "features", None) or {}
    labels.names += [label for column in columns.values() for label in declared_by(features.get(column))]
    labels.declared = len(labels.names)
    with reading(source.where, source.hub):
        checked = {name: with_columns(split, columns, params.data) for name, split in splits.items()}
        yield from encode_rows(checked, task, params, labels)


def encode_rows(
    splits: Mapping[str, Iterable[Row]], task: Task, params: TaskParams, labels: Labels
) -> Iterator[tuple[str, Sample]]:
    """The samples of the rows that are used, with their parts; only rows that may be used are encoded."""
    limited = subsets(params)
    rows = partition(splits, params, task.key)
    slots = ((part, limited[part].slot(number) if part in limited else [], row) for part, number, row in rows)
    for chunk in chunks((each for each in slots if each[1] is not None), CHUNK):
        encoded = task.encode([row for _, _, row in chunk], labels)
        for (part, slot, _), samples in zip(chunk, encoded, strict=True):
            if part not in limited:
                yield from ((part, sample) for sample in samples)
            elif slot is not None:
                slot.extend(map(compact, samples))
    for part, subset in limited.items():
        yield from ((part, sample) for sample in subset.samples())


def with_columns(rows: Iterable[Row], columns: Mapping[str, str], data: str) -> Iterator[Row]:
    """Rows, once the first of them has these columns, each named by a parameter."""
    for number, row in enumerate(rows):
        if not number:
            for parameter, column in columns.items():
                if column not in row:
                    raise unknown("column", column, row, f"workload.{parameter}: '{data}'")
        yield row
