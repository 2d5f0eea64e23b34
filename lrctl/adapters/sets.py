"""Which rows of the user's data sets are trained on, kept aside for scores, validated and tested.

Imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import default_collate, default_convert

from lrctl.adapters.batches import Batches, Loaded
from lrctl.adapters.parts import WHERE, Parts
from lrctl.adapters.stream import Stream, goes_on, is_loader, is_map_style
from lrctl.contracts.workload import drawn, epoch_order
from lrctl.errors import UsageError

LEAST, MOST = 8, 64
"""How many batches are kept aside for scores: fewer would tell nothing, and more are not asked for."""

Rows = np.ndarray[Any, Any]


@dataclass(eq=False)
class Sets:
    """The user's data as batches.

    Attributes:
        train: batches of the endless sequence of epochs, or a stream.
        aside: those of training data that no step trains on.
        held_out: by split, batches, or a loader that is read from its start.
        epoch: how many updates draw as many items as are trained on; None for a stream.
    """

    train: Loaded | Stream
    aside: Loaded | None
    held_out: dict[str, Any]
    epoch: float | None = None


def sets_of(parts: Parts, seed: int) -> Sets:
    """The batches of these parts.

    Raises:
        UsageError: the data are of no kind that can be used, or too few.
    """
    held_out = {split: held(parts, seed, split, *each) for split, each in splits(parts.held_out).items()}
    if goes_on(parts.train):
        stream = Stream(parts.train, collate_of(parts), parts.batch_size, seed)
        return Sets(stream, aside_of(parts, seed, np.arange(0)), held_out)
    n = length_of(parts.train, "train")
    kept = kept_aside(parts, n)
    order = epoch_order(0, 0, n) if parts.shuffle else np.arange(n)
    rows, aside = np.sort(order[: n - kept]), order[n - kept :]
    if not len(rows):
        raise UsageError(f"{WHERE}: aside: {kept} of the {n} items of train leave none to train on; set it lower")
    train = loaded(parts, seed, parts.train, trained(parts, seed, rows))
    return Sets(train, aside_of(parts, seed, aside), held_out, len(rows) / (parts.batch_size or 1))


def trained(parts: Parts, seed: int, rows: Rows) -> Any:
    size = parts.batch_size or 1
    # No closures: where processes are not forked, batches are pickled for those that load them.
    return partial(shuffled, rows, seed, size) if parts.shuffle else partial(in_turn, rows, size)


def shuffled(rows: Rows, seed: int, size: int, step: int) -> Any:
    return rows[drawn(seed, step, size, len(rows))]


def in_turn(rows: Rows, size: int, step: int) -> Any:
    return rows[np.arange(step * size, (step + 1) * size) % len(rows)]


def cut(rows: Rows, size: int, i: int) -> Any:
    return rows[i * size : (i + 1) * size]


def kept_aside(parts: Parts, n: int) -> int:
    """How many of n items are kept aside for scores."""
    if parts.aside is not None:
        return int(parts.aside) if isinstance(parts.aside, int) else 0
    size = parts.batch_size or 1
    return min(MOST, n // 10 // size) * size if n // 10 // size >= LEAST else 0


def aside_of(parts: Parts, seed: int, rows: Rows) -> Loaded | None:
    own = parts.aside is not None and not isinstance(parts.aside, int)
    data, rows = (parts.aside, np.arange(length_of(parts.aside, "aside"))) if own else (parts.train, rows)
    return in_order(parts, seed, data, rows, "score") if len(rows) else None


def splits(given: Any) -> dict[str, tuple[Any, Rows | None]]:
    """The data and rows of each split; no rows where the data are a loader."""
    if isinstance(given, tuple) and len(given) == 2:
        pair = dict(zip(("validation", "test"), given, strict=True))
        return {split: (data, all_rows(data, f"held_out, {split}")) for split, data in pair.items()}
    n = length_of(given, "held_out")
    if n < 2:
        raise UsageError(f"{WHERE}: held_out: it has {n} items, too few for validation and test; give more")
    order = epoch_order(0, 0, n)  # the same for every seed: seeds are compared on one test set
    return {"validation": (given, np.sort(order[: n // 2])), "test": (given, np.sort(order[n // 2 :]))}


def all_rows(data: Any, where: str) -> Rows | None:
    return None if is_loader(data) else np.arange(length_of(data, where))


def held(parts: Parts, seed: int, split: str, data: Any, rows: Rows | None) -> Any:
    return data if rows is None else in_order(parts, seed, data, rows, split)


def in_order(parts: Parts, seed: int, data: Any, rows: Rows, name: str) -> Loaded:
    size = parts.batch_size or 1
    return loaded(parts, seed, data, partial(cut, rows, size), name, -(-len(rows) // size))


def loaded(parts: Parts, seed: int, data: Any, rows: Any, name: str = "", length: int | None = None) -> Loaded:
    make = partial(Batches, data, rows, collate_of(parts), parts.batch_size is None, seed, name)
    return Loaded(make() if length is None else make(length), parts.num_workers)


def collate_of(parts: Parts) -> Any:
    return parts.collate or (default_convert if parts.batch_size is None else default_collate)


def length_of(data: Any, where: str) -> int:
    if is_map_style(data):
        if len(data):
            return len(data)
        raise UsageError(f"{WHERE}: {where}: it has no items")
    raise UsageError(
        f"{WHERE}: {where}: must be a data set with __len__ and __getitem__, got a {type(data).__name__}; of a loader "
        "give loader.dataset"
    )
