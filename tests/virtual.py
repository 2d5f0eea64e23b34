"""An executor whose workers take no time: a clock of its own tells how long they would have taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lrctl.contracts.executor import Attempt
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import FORWARD, JobRecord
from lrctl.engine.executors import Executors
from lrctl.recipe.schema import Choice
from lrctl.storage import checkpoint
from lrctl.storage.store import Store
from lrctl_executors.processes import ProcessesParams


def steps_of(job: SegmentJob) -> float:
    """How long a job takes, in steps of training."""
    return job.steps + FORWARD * job.score_batches


@dataclass(slots=True, eq=False)
class Virtual:
    """So many workers, each busy for as long as `length` says of a job.

    Attributes:
        now: what the clock says.
        taken: the jobs that were begun, with the moment, in their order.
    """

    workers: int
    attempt: Attempt
    store: Store
    length: Callable[[SegmentJob], float] = steps_of
    now: float = 0.0
    busy: list[tuple[float, int, SegmentJob, float]] = field(default_factory=list)
    taken: list[tuple[float, SegmentJob]] = field(default_factory=list)

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        waiting = iter(jobs)
        while True:
            for _ in range(self.workers - len(self.busy)):
                if job := next(waiting, None):
                    self.taken.append((self.now, job))
                    self.busy.append((self.now + self.length(job), len(self.taken), job, self.now))
            if not self.busy:
                return
            yield self.finished(spec)

    def finished(self, spec: TrainSpec) -> JobRecord:
        """The record of the job that is done next: one that is given up is done at once."""
        given_up = [each for each in self.busy if self.given_up(spec, each[2])]
        done = min(given_up or self.busy)
        self.busy.remove(done)
        end, _, job, begun = done
        if not given_up:
            self.now = max(self.now, end)
            return self.attempt(spec, job)
        steps = math.ceil(job.steps * (self.now - begun) / (end - begun))
        record = JobRecord(job.key(spec), "stopped", steps=steps, parent=job.parent, run=spec.run, at_least=0.0)
        before = self.store.stopped(record.key)
        if before and before.run == spec.run:
            record = replace(record, discarded=before.steps + before.discarded)
        self.store.put_record(record)
        return record

    def given_up(self, spec: TrainSpec, job: SegmentJob) -> bool:
        return job.ahead and self.store.runs.given_up(spec.run, job.key(spec))

    def close(self) -> None:
        self.busy.clear()


@dataclass(frozen=True, slots=True)
class Recorded:
    """Gives what another store has of a job, and makes something up where that has nothing."""

    store: Store
    source: Store
    made_up: Callable[[SegmentJob], float] = lambda _: 1.0

    def __call__(self, spec: TrainSpec, job: SegmentJob) -> JobRecord:
        key = job.key(spec)
        known = None if job.anew else self.store.record(key)
        if known and (not job.checkpoint or self.store.has_checkpoint(key)):
            return known
        record = self.source.record(key)
        losses = self.source.losses(key)["loss"] if record else np.full(job.steps, self.made_up(job), np.float32)
        if record is None:
            loss = self.made_up(job)
            metrics = {split: {"loss": loss} for split in job.evaluate}
            record = JobRecord(key, "ok", loss, 0, loss, scores=(loss,) * job.score_batches, metrics=metrics)
        record = replace(record, steps=job.steps, parent=job.parent, run=spec.run, remade={}, discarded=0)
        digests = {"losses": self.store.put_losses(key, losses, job.lrs or [0.0] * job.steps)}
        if job.checkpoint:
            digests["checkpoint"] = checkpoint.save(self.store.checkpoint(key), {})
        if known:
            record = replace(record, remade={spec.run: job.steps + known.remade.get(spec.run, 0)})
        before = self.store.stopped(key)
        if before and before.run == spec.run:
            record = replace(record, discarded=before.steps + before.discarded)
        record = replace(record, digests=digests)
        self.store.put_record(record)
        return record


@dataclass(slots=True)
class Kept(Executors):
    """Gives searches a virtual executor, as that of so many worker processes."""

    virtual: Virtual | None = None

    def chosen(self, *_: Any) -> Choice:
        assert self.virtual
        return Choice("processes", ProcessesParams(workers=max(2, self.virtual.workers)))

    def get(self, *_: Any) -> Any:
        return self.virtual
