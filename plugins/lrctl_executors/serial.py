"""One job after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrctl.contracts.executor import Attempt
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord


@dataclass(frozen=True, slots=True)
class SerialParams:
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class Serial:
    """Runs jobs where it stands: nothing to start, nothing to close."""

    params: SerialParams
    attempt: Attempt

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        return (self.attempt(spec, job) for job in jobs)

    def close(self) -> None:
        """Nothing to do."""
