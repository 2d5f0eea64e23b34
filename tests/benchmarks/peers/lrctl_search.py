"""A search of lrctl: what its command does, in a store of its own, with the jobs it asked for counted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lrctl
from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.disk import watched
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.registry.registry import registry

Job = tuple[SegmentJob, JobResult]


def run(contest: Contest, command: str, **params: Any) -> Outcome:
    """Search with the strategy `command` and these parameters of it, without the plain run beside it."""
    alone = {"reference": False} if hasattr(registry().get("strategy", command).params, "reference") else {}
    settings = {f"strategy.{command}.{name}": value for name, value in (alone | params).items()} | contest.settings
    with tempfile.TemporaryDirectory() as store, watched(Path(store), "checkpoints/*") as peak, counted() as jobs:
        document = lrctl.search(command, contest.recipe, settings=settings, store=store)
    return Outcome(
        test_loss=document["test_loss"],
        validation_loss=document["validation_loss"],
        steps_trained=document["cost"]["steps_trained"],
        forwards=round(forwards(jobs.values(), contest.passes)) + document["cost"]["extra_forwards"],
        checkpoint_bytes=peak.bytes,
        chosen=document["schedule"],
    )


class Observer:
    """Keeps the jobs of a search and their results by their key; one that was stopped may be done again."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    @lrctl.hookimpl
    def job_finished(self, job: SegmentJob, result: JobResult) -> None:
        self.jobs[result.key] = job, result


@contextmanager
def counted() -> Iterator[dict[str, Job]]:
    """The jobs that are done in a block, by their key."""
    observer, manager = Observer(), registry().manager
    manager.register(observer, "peers")
    try:
        yield observer.jobs
    finally:
        manager.unregister(name="peers")


def forwards(jobs: Iterable[Job], passes: float) -> float:
    """The forward passes that jobs were scored with, and evaluated with on validation."""
    return sum(
        job.score_batches * (result.score is not None) + passes * ("validation" in result.metrics)
        for job, result in jobs
    )
