"""One job after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobResult
from lrctl.engine.worker import attempt


@dataclass(frozen=True, slots=True)
class SerialParams:
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class Serial:
    """Runs jobs where it stands: nothing to start, nothing to close."""

    params: SerialParams
    store: Path

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobResult]:
        """One result per job, in order."""
        return (attempt(self.store, spec, job) for job in jobs)

    def close(self) -> None:
        """Nothing to do."""
