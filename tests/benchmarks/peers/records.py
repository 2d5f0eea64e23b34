"""Results as JSON lines, one for each contender and seed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.contest import Contest, Outcome
from lrctl.contracts.canonical import finite
from lrctl.storage.files import write_text


@dataclass(frozen=True, slots=True)
class Record:
    """What a contender came to with one seed; the fields of `Contest` and `Outcome`, seconds and versions."""

    contender: str
    recipe: str
    steps: int
    seed: int
    budget: int
    test_loss: float
    validation_loss: float
    steps_trained: int
    forwards: int
    checkpoint_bytes: int
    chosen: Mapping[str, Any]
    seconds: float
    versions: Mapping[str, Any]

    @classmethod
    def of(
        cls, contender: str, contest: Contest, outcome: Outcome, seconds: float, versions: Mapping[str, Any]
    ) -> Record:
        """The record of an outcome."""
        return cls(contender, **asdict(contest), **asdict(outcome), seconds=seconds, versions=versions)

    def is_of(self, contender: str, steps: int, seed: int) -> bool:
        """Whether it is that contender's, with that seed and length."""
        return (self.contender, self.steps, self.seed) == (contender, steps, seed)


def read(path: Path, recipe: str) -> list[Record]:
    """The records of a recipe; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = map(record, lines)
    return [each for each in found if each.recipe == recipe]


def record(line: str) -> Record:
    """A record from its line, in which a loss that is not finite is null."""
    document = json.loads(line)
    for name in ("test_loss", "validation_loss"):
        document[name] = math.inf if document[name] is None else document[name]
    return Record(**document)


def append(path: Path, found: Record) -> None:
    """Add a record; the file is whole at any moment."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, before + json.dumps(finite(asdict(found)), allow_nan=False) + "\n")


def last(records: Sequence[Record], contender: str, steps: int, seeds: Sequence[int]) -> list[Record]:
    """A contender's latest records, one for each of these seeds that it has one for."""
    found = {each.seed: each for each in records if each.steps == steps and each.contender == contender}
    return [found[seed] for seed in seeds if seed in found]
