"""Contract: where jobs run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobResult


@runtime_checkable
class Executor(Protocol):
    """Runs jobs, each by calling `lrctl.engine.worker.attempt(store, spec, job)` in some process.

    Built as `build(params, store)`, `store` being the store's folder. An exception in a job, or a worker that
    dies, is a result with status `failed`: the session decides whether to try again.
    """

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob], /) -> Iterator[JobResult]:
        """One result per job, in the order in which they finish."""
        ...

    def close(self) -> None:
        """Stop at once whatever still runs, and free what the executor holds. May be called twice."""
        ...


def slots(device: str) -> int:
    """How many jobs the machine can run at once: one per GPU, one per core that this process may use."""
    if device == "cuda":
        import torch

        return max(1, torch.cuda.device_count())
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
