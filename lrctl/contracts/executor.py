"""Contract: where jobs run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.program import OWN_DEVICE
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

    A worker that dies makes its job's result `failed`: the session decides whether to try again. One whose result has a
    failure that is `broken` is replaced before its next job. An executor may serve several searches, one after another,
    each with a `spec` of its own. One that knows which worker does a job tells the hook `job_placed`.
    """

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob], /) -> Iterator[JobRecord]:
        """One result per job, in the order in which they finish.

        A job is taken from `jobs` when it can start, not before: only then is its `stop_above` known.

        An executor that is registered with the mark `ahead` may be given jobs that have no end, and that are None where
        there is none at the moment: it passes over that, asks again after each result, and returns where nothing runs.
        """

    def close(self) -> None:
        """Stop at once whatever still runs, and free what the executor holds. May be called twice; `run` may follow."""


def gpus_of(device: str) -> int:
    """How many GPUs a job of a program has to itself, which its device says as `own:4`; 0 where it says nothing."""
    kind, _, number = device.partition(":")
    return int(number) if kind == OWN_DEVICE and number else 0


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if told := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return told.split(",")
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def gpus_for(device: str, worker: int) -> list[str] | None:
    """The GPUs of one of several workers, counted from 0; None where they share what there is.

    In turn: a search of few jobs uses every GPU too.
    """
    each = 1 if device == "cuda" else gpus_of(device)
    first = worker % slots(device) * each
    return visible_gpus()[first : first + each] if each else None


def worker_name(worker: int, gpus: Sequence[str] | None = None) -> str:
    """What one of several workers, counted from 0, is called where it is told where a job runs: by its GPUs if known.

    >>> worker_name(1), worker_name(1, ["3"]), worker_name(1, ["2", "3"])
    ('worker 2', 'GPU 3', 'GPUs 2 and 3')
    """
    return f"GPU{'s' * (len(gpus) > 1)} {' and '.join(gpus)}" if gpus else f"worker {worker + 1}"


def slots(device: str, per_gpu: int = 1) -> int:
    """How many jobs the machine can run at once: `per_gpu` on each GPU, one per core that this process may use.

    Of a program whose jobs have GPUs to themselves, as many as there are for.
    """
    if device == "cuda":
        import torch

        return per_gpu * max(1, torch.cuda.device_count())
    if device.startswith("cuda:"):
        return per_gpu
    if gpus := gpus_of(device):
        return max(1, len(visible_gpus()) // gpus)
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
