"""Contract: where jobs run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord

Attempt = Callable[[TrainSpec, SegmentJob], JobRecord]
"""Does a job, in whatever process it is called, and records it in the store; it can be pickled.

It never raises: an exception becomes a record with status `failed`. One job a process: torch's random numbers and
threads belong to the process, so a second job at the same time in one, as in a pool of threads, is refused.
"""


@runtime_checkable
class Executor(Protocol):
    """Runs jobs, each by calling `attempt(spec, job)` in some process, which does no other job at the time.

    Built as `build(params, attempt)`.

    A worker that dies makes its job's result `failed`: the session decides whether to try again. An executor may serve
    several searches, one after another, each with a `spec` of its own.
    """

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob], /) -> Iterator[JobRecord]:
        """One result per job, in the order in which they finish.

        A job is taken from `jobs` when it can start, not before: only then is its `stop_above` known.
        """

    def close(self) -> None:
        """Stop at once whatever still runs, and free what the executor holds. May be called twice; `run` may follow."""


def slots(device: str, per_gpu: int = 1) -> int:
    """How many jobs the machine can run at once: `per_gpu` on each GPU, one per core that this process may use."""
    if device == "cuda":
        import torch

        return per_gpu * max(1, torch.cuda.device_count())
    if device.startswith("cuda:"):
        return per_gpu
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
