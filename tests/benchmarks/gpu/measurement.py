"""What all measurements here share: flags, a time limit, and a line for each number as soon as it is known."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")

RECORDS = "gpu.jsonl"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement.

    Attributes:
        step: its name.
        cpu: whether this is the short form for a CPU.
        out: folder of the records.
        until: when its time is over, on the monotonic clock.
    """

    step: str
    cpu: bool
    out: Path
    until: float

    @property
    def device(self) -> str:
        return "cpu" if self.cpu else "cuda"

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def say(self, what: str, **values: Any) -> None:
        """Record values, and print them at once: a run that is cut off has still said something."""
        with (self.out / RECORDS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.step, "what": what, **values}) + "\n")
        print(f"{self.step} | {what}: {in_words(values)}", flush=True)

    def in_time(self, items: Mapping[str, Item]) -> Iterator[tuple[str, Item]]:
        """The named items, as long as there is time for one like the longest so far; says which were left out."""
        longest = 0.0
        for place, (name, item) in enumerate(items.items()):
            if (left := self.left) <= longest:
                print(f"{self.step} | no time for: {', '.join(list(items)[place:])}", flush=True)
                return
            yield name, item
            longest = max(longest, left - self.left)

    @contextmanager
    def attempting(self, what: str) -> Iterator[None]:
        """Tell an error of the block, and go on: other numbers do not depend on it."""
        try:
            yield
        except Exception as error:
            self.say(what, error=f"{type(error).__name__}: {error}"[:300])


def begin(step: str) -> Measurement:
    """The measurement that the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seconds", type=float, default=600.0)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    return Measurement(step, chosen.cpu, chosen.out, time.monotonic() + chosen.seconds)


def in_words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in values.items())


def shown(value: Any) -> str:
    """A value as people read it: numbers to four digits, true and false as yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
