"""Batches of a map-style data set: each a pure function of the seed and its number, whichever process loads it.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.data import DataLoader

from lrctl.training.passes import seed_all

CPU = torch.device("cpu")
ENDLESS = 2**40


@dataclass(eq=False)
class Batches:
    """Batches of the rows of a data set.

    Attributes:
        rows: which rows batch i holds.
        collate: makes a batch of a list of items, or of one item where `single` is true.
        name: what the batches are for; empty for training.
    """

    data: Any
    rows: Callable[[int], Sequence[int]]
    collate: Callable[[Any], Any]
    single: bool
    seed: int
    name: str = ""
    length: int = ENDLESS

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Any:
        """Batch i; transforms that draw random numbers draw those of the batch."""
        seed_all(self.seed, f"rows {self.name} {i}", CPU)
        rows = [int(row) for row in self.rows(i)]
        if self.single:
            return self.collate(self.data[rows[0]])
        many = getattr(self.data, "__getitems__", None)
        return self.collate(many(rows) if many else [self.data[row] for row in rows])


@dataclass(eq=False)
class Loaded:
    """Batches, loaded ahead by processes of their own while they are asked for one after the other."""

    batches: Batches
    workers: int = 0
    last: int | None = None
    ahead: Iterator[Any] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.batches)

    def get(self, i: int) -> Any:
        """Batch i; afterwards random numbers are as if loading it had drawn none."""
        following, self.last = i - 1 == self.last, i
        if not (self.workers and following):
            self.ahead = None
            batch = self.batches[i]
        else:
            self.ahead = self.ahead or self.from_here(i)
            batch = next(self.ahead)
        seed_all(self.batches.seed, f"{self.batches.name} {i}" if self.batches.name else i, CPU)
        return batch

    def from_here(self, i: int) -> Iterator[Any]:
        order = range(i, len(self.batches))
        # DataLoader's types know no data set without a base class.
        loader: Any = DataLoader(
            self.batches,  # type: ignore[arg-type]
            batch_size=None,
            sampler=order,
            collate_fn=same,
            num_workers=self.workers,
        )
        return iter(loader)


def same(batch: Any) -> Any:
    return batch
