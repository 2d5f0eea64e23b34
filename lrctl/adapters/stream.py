"""Data that go on, whose place is a state that can be saved.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.utils.data import IterableDataset

from lrctl.adapters.batches import CPU
from lrctl.adapters.parts import WHERE
from lrctl.errors import UsageError
from lrctl.training.passes import seed_all


class Stream:
    """Batches of a loader, or of an iterable data set, from its beginning or from a state on.

    Each beginning has a new one: what it draws when it is made, such as the order of an epoch, the seed decides.
    """

    def __init__(
        self, make: Callable[[], Any], collate: Callable[[Any], Any], batch_size: int | None, seed: int
    ) -> None:
        self.make, self.collate, self.size, self.seed = make, collate, batch_size, seed
        self.loader: Any = None
        self.items: Iterator[Any] | None = None

    def carry(self, state: Mapping[str, Any] | None) -> None:
        seed_all(self.seed, "stream", CPU)
        self.loader, self.items = self.make(), None
        check_state(self.loader)
        if state is not None:
            self.loader.load_state_dict(state)

    def carried(self) -> Any:
        return self.loader.state_dict()

    def batch(self, step: int) -> Any:
        """What comes next; afterwards random numbers are those of the step, as if this had drawn none."""
        if is_loader(self.loader) or self.size is None:
            batch = self.item(f"{step} 0")
        else:
            batch = self.collate([self.item(f"{step} {i}") for i in range(self.size)])
        seed_all(self.seed, step, CPU)
        return batch

    def item(self, place: str) -> Any:
        """The next item of an endless sequence of epochs."""
        for _ in range(3):  # what goes on from the end of an epoch has nothing left of it
            if self.items is None:
                seed_all(self.seed, f"epoch {place}", CPU)
                self.items = iter(self.loader)
            # Anew for each: where it goes on from a checkpoint, to begin has drawn random numbers.
            seed_all(self.seed, f"rows {place}", CPU)
            try:
                return next(self.items)
            except StopIteration:
                self.items = None
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
