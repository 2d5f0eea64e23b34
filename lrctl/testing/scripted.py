"""Searches on made-up losses: a whole one takes milliseconds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.result import JobRecord, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, Strategy, drive

SPEC = TrainSpec(workload="scripted", workload_params={}, content="", seed=0, optimizer=None)
"""A task for scripted searches: no workload is ever built."""

Landscape = Callable[[SegmentJob], float]
"""The mean loss that each job is to have."""


def run_spec(steps: int, start: int = 0, lr: float = 0.0) -> RunSpec:
    """A run of so many steps, with every optimizer at its defaults; under way at step `start`, with that LR."""
    optimizers = {name: kind() for name, kind in OPTIMIZERS.items()}
    return RunSpec(steps, optimizers=optimizers, start=start, lr=lr, checkpoint="a checkpoint" if start else None)


@dataclasses.dataclass(slots=True)
class Scripted:
    """Stands for training: every job has the mean loss that a landscape says, +inf being divergence.

    With `stopping`, jobs that cannot be chosen are stopped, as many as ever can be.
    """

    loss: Landscape
    batches: list[Batch] = dataclasses.field(default_factory=list)
    stopping: bool = False

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """The results of a batch."""
        self.batches.append(batch)
        results = [self.result(job) for job in batch.jobs]
        return stopped(batch, results) if self.stopping else results

    def result(self, job: SegmentJob) -> JobResult:
        """The result of one job."""
        loss = self.loss(job)
        metrics = {split: {"loss": loss} for split in job.evaluate}
        status: Any = "ok" if math.isfinite(loss) else "diverged"
        steps = job.stop - job.start
        return JobResult(
            job.key(SPEC),
            status,
            loss,
            steps,
            scores=(loss,) * job.score_batches,
            metrics=metrics,
            train_loss=loss if job.evaluate else None,
            stage_losses=(loss,) * len(job.stages),
        )


def stopped(batch: Batch, results: list[JobResult]) -> list[JobResult]:
    """The results of a batch, where no job that cannot be chosen was trained to its end."""
    pairs = list(zip(batch.jobs, results, strict=True))
    best = min((r.mean_loss for job, r in pairs if not job.frozen), default=math.inf)
    frozen = next((r.mean_loss for job, r in pairs if job.frozen), None)
    bound = batch.tolerance.bound(best, frozen) if batch.tolerance else None
    return [
        result
        if bound is None or job.frozen or result.mean_loss <= bound
        # A job that diverges is stopped as any other.
        else dataclasses.replace(result, status="stopped", mean_loss=math.inf, at_least=bound)
        for job, result in pairs
    ]


def play(
    strategy: Strategy, params: Any, steps: int | RunSpec, loss: Landscape, *, stopping: bool = False
) -> tuple[SearchResult, list[Batch]]:
    """Run a whole search on a scripted landscape, in milliseconds: what it found and the batches it asked for."""
    script = Scripted(loss, stopping=stopping)
    run = run_spec(steps) if isinstance(steps, int) else steps
    return drive(strategy(params, run), script.run_batch), script.batches


def bowl(job: SegmentJob) -> float:
    """A smooth landscape: the loss is lowest for a mean LR of 0.01, and falls as the run goes on."""
    mean = sum(job.lrs or [0.0]) / max(1, len(job.lrs or []))
    return abs(math.log10(mean + 1e-9) + 2.0) / (1 + job.stop)


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """The same LR at every step."""

    lr: float

    def __call__(self, _step: float) -> float:
        """The LR."""
        return self.lr


def scripted_attempt(spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """An `Attempt` that trains nothing: every job has a mean loss of its own, which its key decides."""
    key = job.key(spec)
    return JobRecord(key, "ok", int(key[:8], 16) / 2**32, steps=job.steps, parent=job.parent, run=spec.run)
