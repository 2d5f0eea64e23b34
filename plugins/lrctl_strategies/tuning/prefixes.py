"""Whole runs, trained with what they share: runs whose LRs agree up to a step are one run up to there.

The runs form a tree. Each of its edges is one job, and only where it branches is there a checkpoint. Since a run that
is cut into segments gives the same bits as the uninterrupted one, sharing changes what it costs and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.strategy import Batch, SearchResult, Work

LEAST = 0.01
"""Share of the run below which a common prefix is not worth a checkpoint: most families begin at LR 0."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that was trained to its end.

    Attributes:
        jobs: those that it was trained by, from the first step to the last; runs that share a prefix share its jobs.
        train_loss: final training loss, smoothed; +inf if the run diverged.
        validation_loss: may be chosen by.
        test_loss: only ever reported.
        metrics: all that was evaluated: split -> metric -> value.
    """

    schedule: Schedule
    jobs: tuple[JobResult, ...]
    train_loss: float
    validation_loss: float
    test_loss: float
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Of the job that ended it."""
        return self.jobs[-1].key

    @property
    def sound(self) -> bool:
        return math.isfinite(self.train_loss)


@dataclass(frozen=True, slots=True)
class Edge:
    """A stretch of training that the runs `members` (by number) share: steps [start, stop), then the edges after it."""

    start: int
    stop: int
    members: tuple[int, ...]
    after: tuple[Edge, ...] = ()


Open = tuple[Sequence[Schedule], Edge, tuple[JobResult, ...]]
"""An edge that is to be trained: the schedules of its group, and the jobs before it, of which it continues the last."""

SoFar = Callable[[Mapping[Schedule, Ended]], SearchResult | None]


def plan(runs: Sequence[Sequence[float]], least: float = LEAST) -> tuple[Edge, ...]:
    """The tree of runs that are given by their LR at each step, all equally long.

    >>> plan([[1, 1, 1], [1, 1, 0]])
    (Edge(start=0, stop=2, members=(0, 1), after=(Edge(start=2, stop=3, members=(0,), after=()), \
Edge(start=2, stop=3, members=(1,), after=()))),)
    """
    steps = len(runs[0]) if runs else 0
    return grow(runs, tuple(range(len(runs))), 0, max(1, math.ceil(least * steps)))


def grow(runs: Sequence[Sequence[float]], members: tuple[int, ...], start: int, shortest: int) -> tuple[Edge, ...]:
    """The edges that begin at step `start` for runs that agree up to there."""
    if not members:
        return ()
    steps = len(runs[0])
    stop = start
    while stop < steps and len({runs[member][stop] for member in members}) == 1:
        stop += 1
    if stop == steps:
        return (Edge(start, stop, members),)
    branches = [
        tuple(m for m in members if runs[m][stop] == lr) for lr in dict.fromkeys(runs[m][stop] for m in members)
    ]
    if stop - start < shortest:
        return tuple(edge for branch in branches for edge in grow(runs, branch, start, shortest))
    after = tuple(edge for branch in branches for edge in grow(runs, branch, stop, shortest))
    return (Edge(start, stop, members, after),)


def train_all(
    groups: Sequence[Sequence[Schedule]], steps: int, title: str, so_far: SoFar = lambda _: None
) -> Work[dict[Schedule, Ended]]:
    """Train a run with each schedule and evaluate it, level by level of the trees that the groups form.

    Runs share prefixes within their group only: so a group's jobs, and their keys, do not depend on the other groups.
    No run keeps its last checkpoint, unless it is alone: with many runs they would fill the disk. The one that is
    handed over is trained again. `so_far` is what can be handed over of the runs that have ended. Returns these by
    their schedules.
    """
    edges: list[Open] = [
        (group, edge, ())
        for group in groups
        for edge in plan([[schedule(step) for step in range(steps)] for schedule in group])
    ]
    ended: dict[Schedule, Ended] = {}
    while edges:
        alone = len(edges) == 1
        jobs = [job_of(edge, group[edge.members[0]], before, keep=alone) for group, edge, before in edges]
        results = yield Batch(title, jobs, judge=False, so_far=partial(so_far_of, so_far, ended, edges))
        ended |= dict(ends(edges, results))
        done = zip(edges, results, strict=True)
        edges = [(group, after, (*before, job)) for (group, edge, before), job in done for after in edge.after]
    return ended


def ends(edges: Sequence[Open], results: Sequence[JobResult | None]) -> Iterator[tuple[Schedule, Ended]]:
    """The runs that ended with these edges, as far as there are results."""
    for (group, edge, before), result in zip(edges, results, strict=True):
        if result and not edge.after:
            yield from ((group[member], end(group[member], *before, result)) for member in edge.members)


def so_far_of(
    so_far: SoFar, ended: dict[Schedule, Ended], edges: Sequence[Open], results: Sequence[JobResult | None]
) -> SearchResult | None:
    return so_far(ended | dict(ends(edges, results)))


def job_of(edge: Edge, schedule: Schedule, before: Sequence[JobResult], *, keep: bool) -> SegmentJob:
    """The job of an edge: one that branches leaves a checkpoint, one that ends runs is evaluated."""
    parent = before[-1].key if before else None
    if edge.after:
        return SegmentJob(edge.start, edge.stop, schedule, parent)
    return SegmentJob(edge.start, edge.stop, schedule, parent, evaluate=("validation", "test"), checkpoint=keep)


def end(schedule: Schedule, *jobs: JobResult) -> Ended:
    """A run that these jobs trained."""
    result = jobs[-1]
    losses = [result.metrics[split]["loss"] for split in ("validation", "test")]
    train_loss = math.inf if result.train_loss is None else result.train_loss
    sound = math.isfinite(train_loss)
    validation, test = (loss if sound else math.inf for loss in losses)
    return Ended(schedule, jobs, train_loss, validation, test, result.metrics)
