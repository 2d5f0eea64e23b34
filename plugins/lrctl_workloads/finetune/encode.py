"""Rows of a data set as the samples of a task: which part each belongs to, and which are used."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrctl.errors import unknown
from lrctl_workloads.data.tables import reading
from lrctl_workloads.finetune.encoded import CHUNK, chunks, compact
from lrctl_workloads.finetune.params import TaskParams
from lrctl_workloads.finetune.sources import Source
from lrctl_workloads.finetune.task import Labels, Row, Sample, Task

SHARES = 20
"""A part that is cut out of the training split gets about one in so many of its rows."""
VALIDATION, TEST = ("validation", "valid", "dev", "val"), ("test",)
"""Usual names of splits."""


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
    held_out = dict.fromkeys(("validation", "test", "score"), params.held_out_examples)
    limited = {part: Subset(n) for part, n in (held_out | {"training": params.train_examples}).items() if n}
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


def declared_by(feature: Any) -> list[str]:
    """The names of the labels that a column's type declares, alone or in lists; empty if it declares none."""
    while feature is not None:
        if names := getattr(feature, "names", None):
            return list(names)
        feature = getattr(feature, "feature", None)
    return []


def parts_of(splits: Mapping[str, Any], params: TaskParams) -> dict[str, str]:
    """Which split each part is; a part that is missing here is cut out of the training split.

    Where a data set has one held-out split only, that is the test split.
    """
    chosen = {"training": params.train_split, "validation": params.validation_split, "test": params.test_split}
    for name, split in chosen.items():
        if split and split not in splits:
            raise unknown("split", split, splits, f"workload.{name.replace('ing', '')}_split: '{params.data}'")
    free = [split for split in splits if split not in chosen.values()]
    for name, usual in (("test", (*TEST, *VALIDATION)), ("validation", VALIDATION)):
        if not chosen[name]:
            chosen[name] = next((split for split in usual if split in free), "")
            free = [split for split in free if split != chosen[name]]
    return {name: split for name, split in chosen.items() if split}


def partition(
    splits: Mapping[str, Any], params: TaskParams, key: Callable[[Row], bytes]
) -> Iterator[tuple[str, int, Row]]:
    """Every row with its part (training, validation, test or score) and its number in its split.

    Of the training split, rows with equal keys go to one part, so that no text or image is in two of them.
    """
    parts = parts_of(splits, params)
    cut = [part for part in ("validation", "test", "score") if part not in parts]
    for part in ("validation", "test", "training"):
        for number, row in enumerate(splits[parts[part]] if part in parts else ()):
            yield part_of(key(row), cut) if part == "training" else part, number, row


def part_of(key: bytes, parts: list[str]) -> str:
    """The part that rows with this key belong to: about one in 20 to each of these, the rest to training."""
    number = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % SHARES
    return parts[number] if number < len(parts) else "training"


@dataclass(frozen=True, slots=True)
class Subset:
    """Which rows of a part are used if there are more than `limit`: those whose numbers have the lowest sha256.

    They come from all over the split, so that a split that is sorted, by label perhaps, is seen as a whole. They are
    the same for every seed. How many rows there are need not be known, and memory holds what is used and no more.
    """

    limit: int
    lowest: list[tuple[int, int, list[Any]]] = field(default_factory=list)
    """A heap: a rank and a number, both negated, and the place of what is made of the row."""

    def slot(self, number: int) -> list[Any] | None:
        """Where to put what is made of a row; None if lower rows fill the part. A later row may take its place."""
        rank = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:8], "big")
        entry: tuple[int, int, list[Any]] = (-rank, -number, [])
        if len(self.lowest) < self.limit:
            heapq.heappush(self.lowest, entry)
        elif heapq.heappushpop(self.lowest, entry) is entry:
            return None
        return entry[2]

    def samples(self) -> Iterator[Any]:
        """What was made of the rows that are used, in the order of their ranks: shuffled, that is."""
        for _, _, samples in sorted(self.lowest, reverse=True):
            yield from samples
