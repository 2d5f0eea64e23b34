"""Data sets by name, file or folder: their splits, and which part of the workload each row belongs to."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrctl.errors import UsageError, unknown
from lrctl_workloads.data.cache import files_digest
from lrctl_workloads.data.hub import HubDataset
from lrctl_workloads.data.tables import FORMATS, reading, stream
from lrctl_workloads.finetune.params import Shared

SHARES = 20
"""A part that is dealt out of the training split gets about one in so many of its rows."""
VALIDATION, TEST = ("validation", "valid", "dev", "val"), ("test",)
"""Usual names of splits."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """A data set: a file, a folder, or the hub's OWNER/NAME[/CONFIG][@REVISION]."""

    name: str

    @property
    def local(self) -> Path | None:
        """The file or folder, if it is one."""
        path = Path(self.name).expanduser()
        return path if path.exists() else None

    @property
    def where(self) -> str:
        """The parameter and what it says, for errors."""
        return f"workload.data: '{self.name}'"

    @property
    def hub(self) -> HubDataset | None:
        """The data set of the hub, if it is not local.

        Raises:
            UsageError: the name is none.
        """
        return HubDataset.parse(self.name, self.where) if self.local is None else None

    def digest(self) -> str:
        """What names the state of the data: the files' sha256, or the hub's commit.

        Raises:
            MissingError: the commit is not known, and the hub cannot be reached.
            UsageError: there is no such data set.
        """
        if hub := self.hub:
            return f"{hub.repository.commit()} {hub.selection}"
        assert self.local is not None
        if self.local.is_file():
            return files_digest([self.local], self.local.parent)
        return files_digest((path for path in self.local.rglob("*") if path.is_file()), self.local)

    def splits(self) -> dict[str, Any]:
        """Every split by name: the rows as a stream, which leaves no second copy of the data on the disk.

        Raises:
            MissingError: the hub cannot be reached.
            UsageError: the data cannot be read.
        """
        hub = self.hub
        with self.reading():
            return dict(hub.stream() if hub else self.local_splits())

    def reading(self) -> AbstractContextManager[None]:
        """Tell what is wrong with the data that the block reads."""
        return reading(self.where, self.hub)

    def local_splits(self) -> Any:
        """The splits of a file or folder, with the library's own errors."""
        import datasets

        assert self.local is not None
        if self.local.is_file():
            if self.local.suffix not in FORMATS:
                raise UsageError(f"{self.where} must be a .jsonl or a .parquet file, or a folder")
            return {"train": stream([self.local])}
        if (self.local / "dataset_dict.json").is_file() or (self.local / "state.json").is_file():
            saved = datasets.load_from_disk(str(self.local))
            return saved if isinstance(saved, Mapping) else {"train": saved}
        return datasets.load_dataset(str(self.local), streaming=True)


def parts_of(splits: Mapping[str, Any], params: Shared) -> dict[str, str]:
    """Which split each part is; a part that is missing here is dealt out of the training split.

    Where a data set has one held-out split only, that is the test split.

    Raises:
        UsageError: a split that was asked for does not exist.
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


def dealt(splits: Mapping[str, Any], params: Shared, key: Callable[[Row], bytes]) -> Iterator[tuple[str, int, Row]]:
    """Every row with its part (training, validation, test or score) and its number in its split.

    Of the training split, rows with equal keys go to one part, so that no text or image is in two of them.
    """
    parts = parts_of(splits, params)
    for part in ("validation", "test"):
        if part in parts:
            yield from ((part, number, row) for number, row in enumerate(splits[parts[part]]))
    places = [part for part in ("validation", "test", "score") if part not in parts]
    for number, row in enumerate(splits[parts["training"]]):
        yield place(key(row), places), number, row


def place(key: bytes, parts: list[str]) -> str:
    """The part that rows with this key belong to: about one in 20 to each of these, the rest to training."""
    number = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % SHARES
    return parts[number] if number < len(parts) else "training"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which rows of a part are used if there are more than `limit`: those whose numbers have the lowest sha256.

    They come from all over the split, so that a split that is sorted, by label perhaps, is seen as a whole. They are
    the same for every seed. How many rows there are need not be known, and memory holds what is used and no more.
    """

    limit: int
    lowest: list[tuple[int, int, list[Any]]] = field(default_factory=list)
    """A heap: a rank and a number, both negated, and the place of what is made of the row."""

    def place(self, number: int) -> list[Any] | None:
        """Where to put what is made of a row; None if lower rows fill the part. A later row may take its place."""
        rank = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:8], "big")
        entry: tuple[int, int, list[Any]] = (-rank, -number, [])
        if len(self.lowest) < self.limit:
            heapq.heappush(self.lowest, entry)
        elif heapq.heappushpop(self.lowest, entry) is entry:
            return None
        return entry[2]

    def made(self) -> Iterator[Any]:
        """What was made of the rows that are used, in the order of their ranks: shuffled, that is."""
        for _, _, made in sorted(self.lowest, reverse=True):
            yield from made


def limits(params: Shared) -> dict[str, Chosen]:
    """The choice of rows of each part; none where all are used."""
    chosen = {part: Chosen(params.held_out_examples) for part in ("validation", "test", "score")}
    return chosen | ({"training": Chosen(params.train_examples)} if params.train_examples else {})
