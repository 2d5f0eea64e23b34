"""What a search may take: when it is reached no new job begins, and what is found so far is handed over."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lrctl.analysis.units import duration, size
from lrctl.errors import UsageError
from lrctl.storage.store import Store

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12}

clock = time.monotonic


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits, each None where there is none. They decide no result: the search goes on from there with larger ones.

    Attributes:
        steps: that a search may train, in all its goes together, counted as its cost is.
        seconds: of wall time from `began` on.
        disk: bytes of the whole store.
    """

    steps: int | None = None
    seconds: float | None = None
    disk: float | None = None
    began: float = field(default_factory=lambda: clock())

    @classmethod
    def of(cls, steps: int | None = None, time: float | str | None = None, disk: float | str | None = None) -> Budget:
        """What a user gave, such as `90s` and `5GB`.

        Raises:
            UsageError: it is no limit.
        """
        if steps is not None and (type(steps) is not int or steps < 1):
            raise UsageError(f"--max-steps {steps}: must be a whole number of at least 1")
        seconds = amount(time, SECONDS, "--max-time", "a time, such as 90s, 10m or 2h")
        return cls(steps, seconds, amount(disk, BYTES, "--max-disk", "a size, such as 500MB or 5GB"))

    def reached(self, steps: Callable[[], int], place: Store) -> str:
        """Which limit is reached, and what it took; empty while there is room."""
        if self.steps is not None and (trained := steps()) >= self.steps:
            return f"--max-steps {self.steps} is reached: {trained} steps are trained"
        if self.seconds is not None and (spent := clock() - self.began) >= self.seconds:
            return f"--max-time {duration(self.seconds)} is reached: the command runs for {duration(spent)}"
        if self.disk is not None and (used := place.used_bytes()) >= self.disk:
            return f"--max-disk {size(self.disk)} is reached: the store has {size(used)}"
        return ""

    def told(self, estimate: Mapping[str, Any], place: Store | None) -> list[dict[str, Any]]:
        """Whether a search fits that would take as much as an estimate says; None where that is not known."""
        peak, used = estimate["peak_disk_bytes"], place.used_bytes() if place else 0
        needed = {
            "--max-steps": (self.steps, estimate["steps"]),
            "--max-time": (self.seconds, estimate["seconds"]),
            "--max-disk": (self.disk, None if peak is None else peak + used),
        }
        return [
            {"limit": flag, "allowed": allowed, "needed": need, "fits": None if need is None else need <= allowed}
            for flag, (allowed, need) in needed.items()
            if allowed is not None
        ]


def amount(given: float | str | None, units: Mapping[str, float], flag: str, what: str) -> float | None:
    """A number with its unit.

    >>> amount("1.5h", SECONDS, "--max-time", ""), amount("5 GB", BYTES, "--max-disk", ""), amount(90, SECONDS, "", "")
    (5400.0, 5000000000.0, 90.0)
    """
    if given is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", str(given).strip().lower())
    if not found or found[2] not in units or not (value := float(found[1]) * units[found[2]]):
        raise UsageError(f"{flag} {given}: must be {what}")
    return value
