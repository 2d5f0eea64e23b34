"""Training ahead: idle workers do what a search may ask for next. That changes how long it takes, and what it costs."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import FORWARD, JobRecord
from lrctl.engine.futures import Futures
from lrctl.errors import StoreError
from lrctl.registry.observers import notify
from lrctl.training.early_stopping import Limited

if TYPE_CHECKING:
    from lrctl.engine.job_runner import JobRunner


NEARLY = 0.9
"""A job of which this share is done is not given up any more: what led to it would be trained again with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Supply(Sequence[SegmentJob | None]):
    """Jobs without an end, each told at the moment it is asked for; None where there is nothing to do just then."""

    take: Callable[[], SegmentJob | None]

    def __len__(self) -> int:
        return sys.maxsize

    def __iter__(self) -> Iterator[SegmentJob | None]:
        while True:
            yield self.take()

    def __getitem__(self, index: Any, /) -> Any:
        raise TypeError("these jobs come one after the other")


@dataclass(slots=True, eq=False)
class Ahead:
    """Stands before an executor: what a search asks for goes first, and workers that are idle then train ahead.

    The executor's `run` goes on from batch to batch, so that no batch waits for what is trained ahead. A job that is
    asked for while it is trained ahead is not begun again. One that is not needed any more is given up, and so are the
    least likely ones where the search has jobs and no worker is free.

    Attributes:
        affords: whether the budget allows some jobs beside what is asked for and what is at work.
        real: what the search has asked for, and `owed` the keys of it that are not answered.
        waiting: whether some of that is not taken yet.
        again: what was given up too early.
        flying: the jobs that are at work, and `early` those of them that nobody has asked for, by how likely they are.
        kept: the jobs trained ahead whose checkpoints were not deleted yet.
        failed: jobs that are not tried ahead again.
        workers: how many there are, as far as it was seen.
        idle: workers that were given nothing since the last result.
        now: for how many steps a worker had the time since the search began, as the jobs that have ended tell.
        begun: when each job that is at work was begun, by that.
    """

    executor: Executor
    runner: JobRunner
    futures: Futures
    affords: Callable[[Sequence[SegmentJob], Mapping[str, SegmentJob]], bool]
    real: Iterator[SegmentJob] = field(default_factory=lambda: iter(()))
    owed: set[str] = field(default_factory=set)
    waiting: bool = False
    again: deque[SegmentJob] = field(default_factory=deque)
    flow: Iterator[JobRecord] | None = None
    flying: dict[str, SegmentJob] = field(default_factory=dict)
    early: dict[str, float] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    queue: deque[tuple[str, SegmentJob, float]] | None = None
    workers: int = 1
    idle: int = 0
    now: float = 0.0
    begun: dict[str, float] = field(default_factory=dict)
    ended: bool = False

    # What the search asks for

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        """One record for each job; those are returned as soon as there are all of them."""
        if self.ended:
            yield from self.executor.run(spec, jobs)
            return
        assert isinstance(jobs, Limited)
        wanted = {job.key(spec): job for job in jobs.jobs}
        self.real, self.owed, self.waiting = iter(jobs), {*wanted}, True
        for key in wanted.keys() & self.early.keys():
            self.join(key)
        self.make_room(len(self.owed - self.flying.keys()))
        while self.to_come() and (done := self.next_done()):
            job, record = done
            if record.key not in self.owed:
                self.take(record)
            elif record.status == "stopped" and job.ahead:  # given up before it was asked for
                self.again.append(wanted[record.key])
            else:
                self.owed.remove(record.key)
                self.learn(record.key)
                yield record

    def to_come(self) -> bool:
        """Whether there is more to answer, of what is not answered: where a budget is reached, not all is begun."""
        return bool(self.owed and (self.waiting or self.again or self.owed & self.flying.keys()))

    def join(self, key: str) -> None:
        """Have a job that was begun ahead go on as one that is asked for."""
        del self.early[key]
        with suppress(StoreError):  # then it is given up, and begun again
            self.runner.store.runs.begin_ahead(self.runner.spec.run, key)
        self.tell()

    def next_done(self) -> tuple[SegmentJob, JobRecord] | None:
        """Wait for a job that is done; None where nothing is at work."""
        if self.flow is None:
            self.flow = iter(self.executor.run(self.runner.spec, Supply(self.next_job)))  # type: ignore[arg-type]
        self.idle = 0
        if record := next(self.flow, None):
            job, begun = self.flying.pop(record.key), self.begun.pop(record.key)
            if record.status == "ok":
                self.now = max(self.now, begun + length(job))
            return job, record
        self.flow = None
        self.flying.clear()
        return None

    def next_job(self) -> SegmentJob | None:
        """What a worker that is free is to do."""
        self.workers = max(self.workers, len(self.flying) + self.idle + 1)
        job = self.asked_for() or self.likely()
        if job is None:
            self.idle += 1
        return job

    def asked_for(self) -> SegmentJob | None:
        while job := self.again.popleft() if self.again else next(self.real, None):
            key = job.key(self.runner.spec)
            if key in self.owed and key not in self.flying:
                self.flying[key], self.begun[key] = job, self.now
                return job
        self.waiting = False
        return None

    # What it may ask for

    def likely(self) -> SegmentJob | None:
        """The likeliest job that can be trained ahead."""
        if self.ended:
            return None
        queue = self.look()
        while queue:
            key, job, share = queue.popleft()
            if key not in self.flying and self.affords([job], self.flying):
                return self.begin(key, job, share)
        return None

    def begin(self, key: str, job: SegmentJob, share: float) -> SegmentJob | None:
        try:
            self.runner.store.runs.begin_ahead(self.runner.spec.run, key)
        except StoreError:  # the run was taken away; its search ends without help
            self.ended = True
            return None
        self.early[key], self.begun[key] = share, self.now
        self.flying[key] = job = replace(job, ahead=True, anew=self.runner.fresh and not self.runner.done(key))
        self.tell()
        return job

    def look(self) -> deque[tuple[str, SegmentJob, float]]:
        """What may be needed next; what may not is given up, and its checkpoint deleted."""
        if self.queue is None:
            self.queue = deque(self.futures.likely(self.workers, self.runnable))
            shares = {key: share for key, _, share in self.queue}
            for key in self.early if self.futures.alive else ():
                self.early[key] = shares.get(key, 0.0)
                if key not in shares and not self.nearly_done(key):
                    self.give_up(key)
            self.tidy(self.futures.named())
        return self.queue

    def runnable(self, job: SegmentJob, key: str) -> SegmentJob | None:
        """What has to be trained for a job: itself, or what led to it where the checkpoint is gone that it starts from.

        None where that is not known yet, or where it takes next to nothing.
        """
        if key in self.failed or not job.steps or job.forward_only(self.runner.spec):
            return None
        if job.parent is None or self.runner.store.has_checkpoint(job.parent):
            return job
        before = self.runner.seen.get(job.parent)
        if before is None or not self.runner.done(job.parent):
            return None
        return self.runnable(replace(before, checkpoint=True, stop_above=None), job.parent)

    def make_room(self, jobs: int) -> None:
        """Give up what is least likely to be needed where the search has more jobs than workers are free.

        Or all of it, where the budget has no room for it beside what the search has asked for.
        """
        if self.early and not self.affords([], self.flying):
            for key in self.early:
                self.give_up(key)
        if (missing := jobs + len(self.flying) - self.workers) <= 0 or not self.early:
            return
        self.look()
        for key in sorted(self.early, key=self.early.__getitem__)[:missing]:
            if not self.nearly_done(key):
                self.give_up(key)

    def nearly_done(self, key: str) -> bool:
        return self.now - self.begun[key] >= NEARLY * length(self.flying[key])

    def give_up(self, key: str) -> None:
        with suppress(StoreError):  # where its run was taken away it is given up anyway
            self.runner.store.runs.give_up_ahead(self.runner.spec.run, key)

    def take(self, record: JobRecord) -> None:
        """Take in what was trained ahead."""
        self.early.pop(record.key, None)
        if record.failure is None:
            self.runner.take_early(record)
            self.kept |= {record.key} if "checkpoint" in record.digests else set()
        else:
            self.failed.add(record.key)
            self.ended |= record.failure.out_of_memory
        self.learn(record.key)
        self.tell()

    def learn(self, key: str) -> None:
        self.futures.told(key)
        self.queue = None

    def tidy(self, needed: set[str]) -> None:
        """Delete the checkpoints of what was trained ahead, but for those that are needed or the search's own."""
        unneeded = self.kept - needed - self.runner.kept - self.flying.keys()
        self.runner.store.drop_checkpoints(unneeded)
        self.kept -= unneeded

    def tell(self) -> None:
        notify("working_ahead", jobs=len(self.early))

    # The end

    def end(self) -> None:
        """Give up all that is trained ahead, and wait until the workers have let go of it."""
        self.ended = True
        for key in self.early:
            self.give_up(key)
        while self.flying and (done := self.next_done()):
            self.take(done[1])
        self.leave()

    def close(self) -> None:
        """Stop at once whatever runs; nothing is trained ahead any more."""
        self.ended = True
        self.leave()
        self.executor.close()

    def leave(self) -> None:
        self.flow = None
        self.flying.clear()
        self.early.clear()
        self.tidy(set())


def length(job: SegmentJob) -> float:
    """How long a job takes, in steps."""
    return job.steps + FORWARD * job.score_batches
