"""Schedules trained again with seeds that had no part in finding them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

from benchmarks.lookahead.panels import Case
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule
from lrctl.contracts.strategy import Batch, Work
from lrctl.engine.executors import Executors
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.recipe import parse as recipes
from lrctl.storage.store import Store

FIRST = 1000
T = TypeVar("T")


@contextmanager
def session(case: Case) -> Iterator[Session]:
    """A session in which whole runs of a case can be trained."""
    read, place = recipes.read(case.entry.recipe, case.settings), Store(case.store)
    spec = prepare(read)
    with closing(Executors()) as executors:
        runner = JobRunner(place, spec, executors.get(read.executor, place, spec.device))
        yield Session(runner, read)
        runner.clean_up()


def test_losses(
    case: Case, schedules: Mapping[str, Schedule | AdaptiveSchedule], seeds: Sequence[int]
) -> dict[str, list[float]]:
    """The test loss of each schedule with each seed."""
    with session(case) as opened:
        return {name: each(opened, case.steps, schedule, seeds) for name, schedule in schedules.items()}


def each(opened: Session, steps: int, schedule: Schedule | AdaptiveSchedule, seeds: Sequence[int]) -> list[float]:
    jobs = [SegmentJob(0, steps, schedule, evaluate=("test",), checkpoint=False, seed=seed) for seed in seeds]
    results = opened.run_batch(Batch("fresh seeds", jobs, judge=False))
    return [result.metrics["test"]["loss"] for result in results]


def done(work: Work[T], opened: Session) -> T:
    """What work for a strategy comes to."""
    try:
        batch = next(work)
        while True:
            batch = work.send(opened.run_batch(batch))
    except StopIteration as end:
        result: T = end.value
        return result


def seeds(case: Case, count: int) -> range:
    """The fresh seeds; one where seeds mean nothing."""
    return range(FIRST, FIRST + (1 if case.entry.exact else count))
