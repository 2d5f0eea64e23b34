"""The check of executors for authors of plugins: built-in ones pass it, and what is broken does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lrctl import testing
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.engine.worker import attempt
from lrctl.registry.registry import registry
from lrctl.registry.values import build
from testing.trials import JOBS, SPEC


@pytest.mark.parametrize("name", [part.name for part in registry().of("executor")])
def test_a_built_in_executor_keeps_its_contract(name: str, tmp_path: Path) -> None:
    if name == "ray":
        pytest.skip("starts take seconds: tests/executors/test_ray.py has one for all of its tests")
    part = registry().get("executor", name)
    params = build(part.params, {"workers": 1} if name == "processes" else {}, name)
    testing.check_executor(part.target(params, partial(attempt, tmp_path)), SPEC, JOBS)


@dataclass
class Fake:
    """A sound executor that runs nothing."""

    closed: int = 0
    change: Callable[[list[JobRecord]], list[JobRecord]] = field(default=lambda results: results)
    closes: int = 3
    once: bool = False

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        if self.once and self.closed:
            return
        yield from self.change([JobRecord(job.key(spec), "ok", 1.0) for job in jobs])

    def close(self) -> None:
        self.closed += 1
        assert self.closed <= self.closes, "closed too often"


def fail_last(results: list[JobRecord]) -> list[JobRecord]:
    return [*results[:-1], replace(results[-1], status="failed", failure=Failure("ValueError", "why"))]


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (object(), "object lacks run or close"),
        (Fake(change=lambda results: results[:-1]), "not one result per job"),
        (Fake(change=lambda results: results + results[:1]), "not one result per job"),
        (Fake(change=fail_last), "a job failed: .*why"),
        (Fake(closes=1), "closed too often"),
        (Fake(once=True), "does not run again"),
    ],
    ids=["no executor", "too few", "too many", "failed", "closed once", "used once"],
)
def test_the_check_of_executors_finds_what_is_broken(executor: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_executor(executor, SPEC, JOBS)


def test_the_check_of_executors_passes_a_sound_one_and_closes_it() -> None:
    sound = Fake(change=lambda results: results[::-1])
    testing.check_executor(sound, SPEC, JOBS)
    assert sound.closed == 3
