"""Data loaders that go on where the job before has ended.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lrctl.errors import UsageError
from lrctl.program.random_numbers import epoch_of, own_states, random_state, restore_own, restore_random


class Resumable:
    """A data loader that goes on where a checkpoint was made: the batches of the epoch that were read are passed over.

    The order of an epoch is drawn anew from the random numbers that it was drawn from, the loader's own among them.

    Attributes:
        begun: the random numbers at the beginning of the epoch.
        first: the same before its first batch, with which its order is drawn; others may have drawn since it began.
        drawn: batches of the epoch that were read.
        ahead: tells how many of these are read ahead, and not trained on yet.
        read: batches that were read in this process and not passed over.
        position: of a checkpoint, until its epoch goes on.
        now: the random numbers of that checkpoint, until they are restored.
        checked: whether the loop must have told the sampler the epoch of that checkpoint before it begins it again.

    Raises:
        UsageError: the loader's workers outlive an epoch, with random numbers that nothing tells.
    """

    def __init__(
        self,
        loader: Any,
        done: Callable[[], bool] = lambda: False,
        ahead: Callable[[], int] = lambda: 0,
        *,
        checked: bool = False,
    ) -> None:
        if getattr(loader, "persistent_workers", False):
            raise UsageError(
                f"program: {type(loader).__name__} has persistent_workers=True, and random numbers that its workers "
                "carry from epoch to epoch are in no checkpoint; leave persistent_workers out"
            )
        self.loader, self.done, self.ahead, self.checked = loader, done, ahead, checked
        self.begun = self.first = self.random()
        self.drawn = self.read = 0
        self.position: Mapping[str, Any] | None = None
        self.now: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # where it is copied, and has none yet
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        if self.done():  # the position is that of the epoch before
            return iter(())
        if self.position:
            position, self.position = self.position, None
            self.begun, self.first, self.drawn = position["begun"], position["first"], position["drawn"]
            self.now = position["now"]
            if self.checked:
                self.check_epoch()
            return self.resumed()
        self.catch_up()
        self.begun, self.drawn = self.random(), 0
        return self.rest(iter(self.loader))

    def check_epoch(self) -> None:
        """Refuse to go on in an epoch of another number: its order would be that of the other."""
        was, now = self.begun["epoch"], epoch_of(self.loader)
        if was != now:
            raise UsageError(
                f"program: the sampler of {type(self.loader).__name__} was in epoch {was} where this job begins, and "
                f"is told {now}; keep the number of the epoch by job.keep, begin the loop over epochs there, and leave "
                "it where job.done is true"
            )

    def resumed(self) -> Iterator[Any]:
        """The epoch from the checkpoint on; begun with its first batch, as only then a sampler may know its epoch."""
        here = self.random()
        self.restore(self.begun)
        batches = iter(self.loader)
        self.restore(self.first)
        for _ in range(self.drawn):
            next(batches, None)
        self.restore(here)
        self.catch_up()
        yield from self.rest(batches)

    def catch_up(self) -> None:
        """Have the random numbers of the checkpoint, once what was read is passed over.

        The first of several loaders has them; the others come after what that has drawn since.
        """
        if self.now:
            restore_random(self.now)
            self.now.clear()

    def rest(self, batches: Iterator[Any]) -> Iterator[Any]:
        if not self.drawn:
            self.first = self.random()
        while not self.done():
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.drawn += 1
            self.read += 1
            yield batch

    def updates(self, done: int) -> float | None:
        """Updates in an epoch, where so many were done with what was read; None where it has no length."""
        try:
            return len(self) * done / self.read if self.read else None
        except TypeError:
            return None

    def random(self) -> dict[str, Any]:
        return {**random_state(), "own": own_states(self.loader), "epoch": epoch_of(self.loader)}

    def restore(self, state: Mapping[str, Any]) -> None:
        restore_random(state)
        restore_own(self.loader, state["own"])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds: of a loader that was not read since the last, what that held."""
        of_epoch = self.position or {"begun": self.begun, "first": self.first, "drawn": self.drawn - self.ahead()}
        return {**of_epoch, "now": random_state(), "own": own_states(self.loader)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        restore_own(self.loader, state["own"])
        self.position = state if state["drawn"] else None


def together(positions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The positions of several loaders in one checkpoint, whose random numbers are to be restored once."""
    return [{**each, "now": positions[0]["now"]} for each in positions]
