"""A search whose jobs are made up: what its strategy asks for, added up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lrctl.contracts.job import COMPARED, SegmentJob, TrainSpec
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.contracts.strategy import Batch, RunSpec
from lrctl.engine.session import check_goes_on, searching


@dataclass(slots=True)
class Rehearsal:
    """What a strategy asked for when every job gave a made-up loss.

    Attributes:
        rounds: how many jobs a batch had that were new, and the most steps of one of them.
        scored: whether the workload keeps batches aside for scores.
        passes: forward passes that a validation loss takes; 0 where that is not known.
        checkpoints: the most that exist at a time.
        left: the jobs whose checkpoints exist, as `lrctl.engine.job_runner` keeps them.
        again: the jobs that are trained again, for a checkpoint that is gone.
        likely: the LR that is the best, unless a batch tells another.
        beside: the jobs that no batch of the search itself has asked for.
    """

    spec: TrainSpec
    scored: bool = True
    passes: int = 0
    run: RunSpec = field(default_factory=lambda: RunSpec(1))
    jobs: dict[str, SegmentJob] = field(default_factory=dict)
    rounds: list[tuple[int, int]] = field(default_factory=list)
    checkpoints: int = 0
    left: set[str] = field(default_factory=set)
    again: list[SegmentJob] = field(default_factory=list)
    likely: float = 10**-3.5
    beside: set[str] = field(default_factory=set)

    @property
    def own(self) -> dict[str, SegmentJob]:
        """The jobs of the search itself."""
        return {key: job for key, job in self.jobs.items() if key not in self.beside}

    @property
    def measuring(self) -> int:
        """Steps of jobs that only measure frozen weights, a forward pass each."""
        return sum(job.steps for job in self.jobs.values() if job.forward_only(self.spec))

    @property
    def steps(self) -> int:
        """What the search itself trains, with what it trains again."""
        return sum(job.steps for job in [*self.own.values(), *self.again]) - self.measuring

    @property
    def forwards(self) -> int:
        """The search's own forward passes beside its steps."""
        own = self.own.values()
        validated = sum(self.validated(job) for job in own if searching(job))
        return self.measuring + validated + sum(self.reserved(job) + self.compared(job) for job in own)

    @property
    def steps_beside(self) -> float:
        """What the jobs take that are beside the search, forward passes counted as steps."""
        others = [self.jobs[key] for key in self.beside]
        return sum(job.steps + FORWARD * (self.reserved(job) + self.compared(job)) for job in others)

    @property
    def validates(self) -> bool:
        """Whether the search looks at validation losses."""
        return any("validation" in job.evaluate and searching(job) for job in self.own.values())

    @property
    def starts(self) -> int:
        """How often a program is started: by what trains or measures, and at the end of what is handed over."""
        return 1 + len(self.again) + sum(bool(job.steps or job.evaluate) for job in self.jobs.values())

    def updates(self, workers: int) -> int:
        """Steps one after the other, with so many workers."""
        side_by_side = sum(math.ceil(n / workers) * length for n, length in self.rounds)
        return side_by_side + sum(job.steps for job in self.again)

    def reserved(self, job: SegmentJob) -> int:
        """Forward passes over reserved batches: of its score, and of the weights that are compared."""
        if not self.scored:
            return 0
        return job.score_batches + self.compared_weights(job) * (job.score_batches or COMPARED)

    def compared(self, job: SegmentJob) -> int:
        """Forward passes of comparing weights by validation loss."""
        return 0 if self.scored else self.compared_weights(job) * self.passes

    def compared_weights(self, job: SegmentJob) -> int:
        """The last weights and each average, where a job compares them."""
        comparing = self.spec.averaging and job.steps and (job.score_batches or job.evaluate)
        return 1 + len(self.spec.averaging) if comparing else 0

    def validated(self, job: SegmentJob) -> int:
        return self.passes if "validation" in job.evaluate else 0

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """Made-up results, after adding the batch up: its new jobs, and the checkpoints that exist while it runs."""
        check_goes_on(batch.jobs, self.run)
        self.likely = batch.likely or self.likely
        new = {key: job for job in batch.jobs if (key := job.key(self.spec)) not in self.jobs}
        self.jobs |= new
        keys = {job.key(self.spec) for job in batch.jobs}
        self.beside = self.beside | new.keys() if batch.beside else self.beside - keys
        kept = {job.parent for job in batch.jobs if job.parent} | batch.keep
        if new:
            self.rounds.append((len(new), max(job.steps for job in new.values())))
            self.left &= kept.union(new, *map(self.sources, kept))
            self.restore(job.parent for job in new.values())
            self.left |= {key for key, job in new.items() if job.checkpoint}
        self.checkpoints = max(self.checkpoints, len(kept) + sum(job.checkpoint for job in new.values()))
        return [self.make_up(job) for job in batch.jobs]

    def make_up(self, job: SegmentJob) -> JobResult:
        """A result by which a search neither raises nor lowers the LR for long: the likely LR has the lowest loss."""
        if isinstance(job.schedule, AdaptiveSchedule) or (job.frozen and job.stop > 0):
            loss = 0.0
        else:
            # A run to the end is known by its peak, a segment of a search by the LR it leads to.
            whole = job.evaluate or job.score_batches
            lrs = [*(job.lrs or ()), *map(job.schedule, range(job.start))] if whole else [job.schedule(job.stop)]
            lr = max(lrs, default=0.0)
            loss = 1e9 * (abs(math.log10(lr) - math.log10(self.likely)) if lr else 100.0)
        scores = (loss,) * job.score_batches * self.scored
        made_up = JobResult(job.key(self.spec), "ok", loss, job.steps, scores=scores)
        extra = self.reserved(job) - len(scores) + self.compared(job)
        made_up = replace(made_up, extra_forwards=extra, evaluated=self.validated(job))
        metrics = {split: MadeUpMetrics(loss=loss) for split in job.evaluate}
        norms = (1.0,) * job.steps if job.gradient_norms else None
        train_loss, stages = loss if job.evaluate else None, (loss,) * len(job.stages)
        return replace(made_up, metrics=metrics, gradient_norms=norms, train_loss=train_loss, stage_losses=stages)

    def sources(self, key: str | None) -> list[str]:
        """A job whose checkpoint is gone and those that it is made again from, up to one whose checkpoint exists."""
        found: list[str] = []
        while key in self.jobs and not (found and found[-1] in self.left):
            found.append(key)
            key = self.jobs[key].parent
        return found

    def restore(self, keys: Iterable[str | None]) -> None:
        """Train again what is needed for the checkpoints of these jobs."""
        for lost in {each for key in keys for each in self.sources(key)} - self.left:
            self.again.append(self.jobs[lost])
            self.left.add(lost)


class MadeUpMetrics(dict[str, float]):
    """Metrics, among them any that is asked for: always the same, since nobody knows whether more of it is better."""

    def __missing__(self, name: str) -> float:
        return 0.5


class Guess:
    """Stands for a workload whose runs have a closed form: computing them would take as long as the search."""

    def expected_losses(self, lrs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.ones(len(lrs))

    def expected_gradient(self, lrs: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        return 1.0, np.zeros(len(lrs))
