"""A search that is interrupted."""

from __future__ import annotations

from collections.abc import Callable

from lrctl.contracts.strategy import Batch


def stop_at(batch: int) -> Callable[[Batch], None]:
    """Interrupts a search before its batch number `batch`, once."""
    seen: list[Batch] = []

    def stop(started: Batch) -> None:
        seen.append(started)
        if len(seen) == batch:
            raise KeyboardInterrupt

    return stop
