"""The contract of executors."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from lrctl.contracts.executor import Attempt, Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.testing.faults import calling
from lrctl.testing.scripted import SPEC, scripted_attempt


def check_executor(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob], attempt: Attempt | None = None) -> None:
    """An executor gives for each job what `attempt` gives of it, and serves one search after another.

    It can be closed twice, and used again. Jobs must succeed. `attempt` is what it was built with, or the same with
    another store; where it is left out and the task is `SPEC`, `scripted_attempt`.
    """
    assert isinstance(executor, Executor), f"{type(executor).__name__} lacks run or close"
    if attempt is None and spec.workload == SPEC.workload:
        attempt = scripted_attempt
    later = dataclasses.replace(spec, seed=spec.seed + 1)
    with closing(executor):
        check_results(executor, spec, jobs, attempt)
        with calling("run() without jobs"):
            assert list(executor.run(spec, [])) == [], "there were results without jobs"
        given_up = iter(executor.run(spec, jobs))
        next(given_up)
        if hasattr(given_up, "close"):
            given_up.close()
        check_results(executor, later, jobs, attempt)  # whatever was left of the search before
    with calling("close(), called twice,"):
        executor.close()
    with closing(executor), calling("run() after close()"):
        assert len(list(executor.run(spec, jobs[:1]))) == 1, "does not run again once it was closed"


def check_ahead(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob]) -> None:
    """An executor with the mark `ahead` asks for jobs without an end, and goes on where there is none at the moment.

    There must be two jobs at least.
    """
    first, *others = [*jobs, None]
    given = [None, first, None, None, *others]

    class WithoutEnd(list[SegmentJob]):
        def __len__(self) -> int:
            return sys.maxsize

        def __iter__(self) -> Iterator[Any]:
            while True:
                yield given.pop(0) if given else None

    with closing(executor), calling("run(), with jobs that are None,"):
        results = [result.key for _ in given[:] for result in executor.run(spec, WithoutEnd())]
    assert sorted(results) == sorted(job.key(spec) for job in jobs), "not one result per job that is not None"


def check_results(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob], attempt: Attempt | None) -> None:
    """One search's results are those of its own jobs."""
    with calling("run()"):
        results = list(executor.run(spec, jobs))
    assert all(isinstance(r, JobRecord) for r in results), f"run() must yield what attempt() gives, got {results!r}"
    expected = {job.key(spec): job for job in jobs}
    assert sorted(r.key for r in results) == sorted(expected), "not one result per job"
    assert all(r.status == "ok" for r in results), f"a job failed: {[r.failure for r in results if r.failure]}"
    for result in results if attempt else ():
        assert attempt is not None
        wanted = attempt(spec, expected[result.key]).answer()
        assert result.answer() == wanted, f"run() gave {result.answer()}, attempt() gives {wanted}"


LOST: set[int] = set()
"""Processes that can compute nothing more."""


def check_broken_worker(build: Callable[[Attempt], Executor], spec: TrainSpec, jobs: list[SegmentJob]) -> None:
    """A worker that can compute nothing more on its device, as after an error of CUDA, does no other job.

    `build` is given the `Attempt` that the executor is to be built with. One that does jobs in this process has no
    workers, and keeps this.
    """
    breaking = dataclasses.replace(jobs[0], anew=True)
    with closing(build(breaking_attempt)) as executor, calling("run(), with a worker that is broken,"):
        results = [*executor.run(spec, [breaking, *jobs[1:]]), *executor.run(spec, jobs)]
    here = os.getpid() in LOST
    LOST.clear()
    failed = sum(result.failure is not None for result in results)
    assert here or failed == 1, "a worker whose failure is `broken` was given another job"


def breaking_attempt(spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """An `Attempt` that trains nothing; after a job that is to be done `anew` its process fails each."""
    if job.anew:
        LOST.add(os.getpid())
    if os.getpid() in LOST:
        failure = Failure("AcceleratorError", "CUDA error: device-side assert triggered")
        return JobRecord(job.key(spec), "failed", failure=failure, run=spec.run)
    return scripted_attempt(spec, job)
