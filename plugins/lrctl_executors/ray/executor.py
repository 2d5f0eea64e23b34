"""Hands jobs to actors of Ray: one for each share of its CPUs and GPUs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrctl.contracts.executor import Attempt, worker_name
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.errors import LrctlError
from lrctl.registry.observers import notify
from lrctl_executors.ray.actors import Actor, Place
from lrctl_executors.ray.cluster import Cluster, last_line
from lrctl_executors.ray.params import RayParams

LOSSES = 3
"""Actors that a job may lose while their nodes live on; with the next, the job itself is taken to end them."""

STARTS = 10
"""Actors that may be lost one after another before any has started, as happens where nodes are lost."""

LOOK = 1.0
"""Seconds between two looks at what actors owe: Ray may miss that one is lost while it waits."""

PATIENCE = 60
"""Looks without an actor at work after which it is told that the search waits for one."""


@dataclass(slots=True, eq=False)
class Ray:
    """Hands jobs to actors as they become free. One that is lost is replaced, and its job is done by another.

    One that can compute nothing more on its GPU is replaced too. One whose device has no memory left gets no more jobs
    of the same `run`, as long as others do them. Actors live until `close`: from search to search as long as a job's
    share is the same. What jobs make goes to the store, and not through Ray.
    """

    params: RayParams
    attempt: Attempt
    actors: list[Actor] = field(default_factory=list)
    share: Mapping[str, float] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    unstarted: int = 0
    idle: int = 0
    cluster: Cluster = field(init=False)

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.params.address)

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        waiting, again = iter(jobs), list[SegmentJob]()  # a job is taken when an actor is free for it, and not before
        self.prepare(spec, len(jobs))
        while True:
            free = [actor for actor in self.actors if actor.free]
            for actor in free:
                if job := again.pop() if again else next(waiting, None):
                    actor.give(spec, job)
                    self.tell(actor, job)
            if not any(actor.job for actor in self.actors) and (free or not jobs):
                return
            yield from self.answers(spec, again)

    def tell(self, actor: Actor, job: SegmentJob) -> None:
        assert actor.place is not None
        host = actor.place.host if self.params.address else ""
        worker = worker_name(self.actors.index(actor), actor.place.gpus)
        notify("job_placed", job=job, host=host, worker=worker)

    def prepare(self, spec: TrainSpec, jobs: int) -> None:
        """Have as many actors as so many jobs can use, each with a job's share."""
        if not jobs:
            return
        share = self.params.share(spec)
        self.cluster.start(self.params.workers * share["CPU"])
        # Where nodes are lost between two batches, the search waits for others as it does within one.
        room = self.cluster.room(share, least=len(self.actors) if share == self.share else 0)
        for actor in list(self.actors):
            # One is still at work where the last run was given up half way: its result is nobody's.
            if actor.job or share != self.share:
                self.actors.remove(actor)
                actor.stop()
            actor.full = False
        self.share = share
        while len(self.actors) < min(self.params.workers or room, jobs):
            self.actors.append(Actor.start(self.attempt, share))

    def answers(self, spec: TrainSpec, again: list[SegmentJob]) -> Iterator[JobRecord]:
        """Wait for an actor: its job's record, unless the job is to be done `again` since the actor is lost."""
        import ray

        owed = {actor.answer: actor for actor in self.actors if actor.answer is not None}
        ready, _ = ray.wait(list(owed), timeout=LOOK)
        self.idle = 0 if ready or any(actor.job for actor in self.actors) else self.idle + 1
        if self.idle == PATIENCE:
            told = "no node has room, each is lost or busy with other work; the search waits for one"
            warnings.warn(f"--executor ray: {told}", stacklevel=2)
        for answer in ready:
            actor = owed[answer]
            job, actor.job, actor.answer = actor.job, None, None
            if job is None:
                self.greet(actor, answer)
            elif record := self.record(actor, answer, spec, job):
                yield record
            else:
                again.append(job)

    def greet(self, actor: Actor, answer: Any) -> None:
        """Take in where an actor is that has started.

        Raises:
            LrctlError: none can be started, or one has other versions than this machine.
        """
        import ray

        try:
            place: Place = ray.get(answer)
        except ray.exceptions.RayError as error:
            self.unstarted += 1
            if self.unstarted == STARTS:
                raise LrctlError(
                    f"--executor ray: no worker can be started, the last one said {last_line(error)!r}; lrctl and what "
                    "the workload needs must be installed on every node"
                ) from error
            self.replace(actor)
        else:
            actor.place, self.unstarted = place.check(), 0

    def record(self, actor: Actor, answer: Any, spec: TrainSpec, job: SegmentJob) -> JobRecord | None:
        """What a job gave; None where its actor was lost through no fault of the job's, as far as can be told."""
        import ray

        try:
            record: JobRecord = ray.get(answer)
        except ray.exceptions.RayTaskError as error:  # the job could not be read there, or its record not be sent
            return failed(spec, job, Failure(type(error.cause).__name__, str(error.cause), str(error)))
        except ray.exceptions.RayError as error:
            self.replace(actor)
            # One that cannot be reached went with its node, which counts as alive for some 15 seconds more.
            died = not isinstance(error, ray.exceptions.ActorUnavailableError)
            self.lost[job.key(spec)] += died and actor.place is not None and self.cluster.alive(actor.place.node)
            if self.lost[job.key(spec)] <= LOSSES:
                return None
            del self.lost[job.key(spec)]
            return failed(spec, job, Failure("WorkerDied", f"{LOSSES + 1} workers died of it: {last_line(error)}"))
        if record.failure and record.failure.broken:
            self.replace(actor)
            return record
        others = any(each.place and not each.full for each in self.actors if each is not actor)
        actor.full = bool(record.failure and record.failure.out_of_memory and others)
        return record

    def replace(self, actor: Actor) -> None:
        actor.stop()  # it may live on, where only the network is lost
        self.actors[self.actors.index(actor)] = Actor.start(self.attempt, self.share)

    def close(self) -> None:
        if self.actors:
            for actor in self.actors:
                actor.stop()
            self.actors.clear()
        self.cluster.stop()


def failed(spec: TrainSpec, job: SegmentJob, failure: Failure) -> JobRecord:
    return JobRecord(job.key(spec), "failed", failure=failure, run=spec.run)
