"""Data that go on, whose place is a state that can be saved.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch.utils.data import IterableDataset

from lrctl.adapters.parts import WHERE
from lrctl.errors import UsageError


class Stream:
    """Batches of a loader, or of an iterable data set, from its beginning or from a state on.

    Each beginning has a new one: what it draws when it is made, such as the order of an epoch, the seed decides.
    """

    def __init__(self, make: Callable[[], Any], collate: Callable[[Any], Any], batch_size: int | None) -> None:
        self.make, self.collate, self.size = make, collate, batch_size
        self.loader: Any = None
        self.batches: Iterator[Any] | None = None

    def carry(self, state: Mapping[str, Any] | None) -> None:
        self.loader, self.batches = self.make(), None
        check_state(self.loader)
        if state is not None:
            self.loader.load_state_dict(state)

    def carried(self) -> Any:
        return self.loader.state_dict()

    def next(self) -> Any:
        # Not before a batch is asked for: what begins an epoch may draw random numbers, and these are the step's then.
        self.batches = self.batches or self.epochs()
        return next(self.batches)

    def epochs(self) -> Iterator[Any]:
        items = self.items()
        if is_loader(self.loader) or self.size is None:
            yield from items
        while True:
            yield self.collate(list(islice(items, self.size)))

    def items(self) -> Iterator[Any]:
        """What the loader gives, epoch after epoch."""
        empty = 0
        while empty < 2:  # one that goes on from its end has nothing left of its first epoch
            empty += 1
            for item in self.loader:
                empty = 0
                yield item
        raise UsageError(f"{WHERE}: train: the {type(self.loader).__name__} gave nothing in a whole epoch")


def is_map_style(data: Any) -> bool:
    own = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, str)
    return own and not is_loader(data) and not isinstance(data, IterableDataset)


def is_loader(data: Any) -> bool:
    """Whether it gives batches, and no items."""
    return hasattr(data, "batch_sampler") or (hasattr(data, "batch_size") and hasattr(data, "__iter__"))


def goes_on(train: Any) -> bool:
    """Whether training data are a stream, given by a function or class that makes it.

    Raises:
        UsageError: they are neither that nor a data set.
    """
    if isinstance(train, type) or (callable(train) and not hasattr(train, "__iter__") and not is_map_style(train)):
        return True
    if is_map_style(train):
        return False
    check_state(train)
    raise UsageError(
        f"{WHERE}: train: a {type(train).__name__} goes on from where it is, and each run begins anew; give a function "
        "that makes it: train=lambda: ..."
    )


def check_state(given: Any) -> None:
    """Refuse what does not tell where it is."""
    if all(hasattr(given, name) for name in ("__iter__", "state_dict", "load_state_dict")):
        return
    kind = type(given).__name__
    if is_loader(given):
        raise UsageError(
            f"{WHERE}: train: a {kind} does not tell where it is, so that no run could go on from a checkpoint; give "
            "its data set instead: train=loader.dataset, batch_size=loader.batch_size, collate=loader.collate_fn; or a "
            "function that makes a StatefulDataLoader of torchdata"
        )
    raise UsageError(
        f"{WHERE}: train: a {kind} has neither __len__ and __getitem__ nor __iter__, state_dict and load_state_dict; "
        "give a data set, or a function that makes a loader whose state can be saved"
    )
