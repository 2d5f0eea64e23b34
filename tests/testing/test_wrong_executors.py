"""Executors that break their contract in less usual ways: the check for authors of plugins says how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lrctl import testing
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord


@dataclass
class Serial:
    """A sound one."""

    left: list[JobRecord] = field(default_factory=list)
    closed: bool = False

    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return testing.scripted_attempt(spec, job)

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        for job in jobs:
            yield self.attempt(spec, job)

    def close(self) -> None:
        self.closed = True


class OtherSeed(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return super().attempt(replace(spec, seed=7), job)


class OtherSeedSameKey(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return replace(super().attempt(replace(spec, seed=7), job), key=job.key(spec))


class OtherType(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return replace(super().attempt(replace(spec, dtype="bfloat16"), job), key=job.key(spec))


class OtherLoss(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return replace(super().attempt(spec, job), mean_loss=0.0)


class Rounding(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        record = super().attempt(spec, job)
        return replace(record, mean_loss=round(record.mean_loss, 6))


class HalfTheJob(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return replace(super().attempt(spec, replace(job, stop=job.stop - 1)), key=job.key(spec))


class Dropping(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return replace(super().attempt(spec, job), steps=0)


class Swapped(Serial):
    """The results of two jobs under each other's keys."""

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        records = [self.attempt(spec, job) for job in jobs]
        for record, other in zip(records, records[::-1], strict=True):
            yield replace(record, key=other.key)


class FirstSpec(Serial):
    spec: TrainSpec | None = None

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        self.spec = self.spec or spec
        yield from super().run(self.spec, jobs)


class Leftover(Serial):
    """What a search that was given up did not take is told to the next one."""

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        self.left += [self.attempt(spec, job) for job in jobs]
        while self.left:
            yield self.left.pop(0)


class Remembering(Serial):
    """The results of the search before, as long as there are as many jobs."""

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        self.left = self.left or [self.attempt(spec, job) for job in jobs]
        yield from self.left[: len(jobs)]


class NeedsJobs(Serial):
    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        jobs[0]
        yield from super().run(spec, jobs)


class Answers(Serial):
    def attempt(self, spec: TrainSpec, job: SegmentJob) -> Any:
        return super().attempt(spec, job).answer()


class Nones(Serial):
    def attempt(self, _spec: TrainSpec, _job: SegmentJob) -> Any:
        return None


class ClosesOnce(Serial):
    def close(self) -> None:
        if self.closed:
            raise OSError("closed already")
        super().close()


class Failing(Serial):
    def run(self, _spec: TrainSpec, _jobs: Sequence[SegmentJob]) -> Iterator[Any]:
        raise OSError("no workers")


EXECUTORS: dict[str, tuple[Any, str]] = {
    "another seed": (OtherSeed(), "not one result per job"),
    "another seed, the same key": (OtherSeedSameKey(), r"run\(\) gave .*, attempt\(\) gives"),
    "another type": (OtherType(), r"run\(\) gave .*, attempt\(\) gives"),
    "another loss": (OtherLoss(), r"run\(\) gave .*, attempt\(\) gives"),
    "rounded losses": (Rounding(), r"run\(\) gave .*, attempt\(\) gives"),
    "half the job": (HalfTheJob(), r"run\(\) gave .*, attempt\(\) gives"),
    "no steps": (Dropping(), r"run\(\) gave .*, attempt\(\) gives"),
    "swapped": (Swapped(), r"run\(\) gave .*, attempt\(\) gives"),
    "the first spec": (FirstSpec(), "not one result per job"),
    "what is left": (Leftover(), "there were results without jobs|not one result per job"),
    "the search before": (Remembering(), "not one result per job"),
    "needs jobs": (NeedsJobs(), r"run\(\) without jobs raised IndexError"),
    "answers": (Answers(), r"run\(\) must yield what attempt\(\) gives"),
    "nothing": (Nones(), r"run\(\) must yield what attempt\(\) gives"),
    "closes once": (ClosesOnce(), r"close\(\), called twice, raised OSError"),
    "fails": (Failing(), r"run\(\) raised OSError: no workers"),
}

JOBS = [SegmentJob(0, 3, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2)]


@pytest.mark.parametrize(("executor", "message"), EXECUTORS.values(), ids=EXECUTORS)
def test_a_wrong_executor_is_found(executor: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_executor(executor, testing.SPEC, JOBS)


def test_a_sound_executor_passes() -> None:
    testing.check_executor(Serial(), testing.SPEC, JOBS)
