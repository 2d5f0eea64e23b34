"""Strategies that break their contract in less usual ways: the check for authors of plugins says how."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import pytest

from lrctl import testing
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Batch, Candidate, RunSpec, SearchResult, Segment, Tolerance, TrainedRun, drive
from lrctl.contracts.table import DataFile, Table


@dataclass(frozen=True)
class Params:
    lrs: Annotated[tuple[float, ...], "LRs to try"] = (0.1, 0.01)


@dataclass
class Changeable:
    lrs: Annotated[tuple[float, ...], "LRs to try"] = (0.1, 0.01)


@dataclass(frozen=True)
class Nested:
    lrs: Annotated[tuple[float, ...], "LRs to try"] = (0.1, 0.01)
    more: Annotated[dict[str, float], "by name"] = field(default_factory=dict)


@dataclass(frozen=True)
class Twisted:
    """What is built from its fields is not what it was."""

    lrs: Annotated[tuple[float, ...], "LRs to try"] = (0.1, 0.01)
    share: Annotated[float, "of the first"] = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", self.share / 2)


def sound(p: Any, run: RunSpec) -> Any:
    """The best of several constant LRs."""
    jobs = [SegmentJob(0, run.steps, PiecewiseLinear(((0, lr),))) for lr in p.lrs]
    results = yield Batch("the run", jobs)
    _, best = min((result.mean_loss, i) for i, result in enumerate(results))
    return SearchResult(jobs[best].schedule, results[best].key)


def saying(**changes: Any) -> Callable[..., Any]:
    """A sound strategy that says this of its result; what is a function is called first."""

    def strategy(p: Any, run: RunSpec) -> Any:
        found = yield from sound(p, run)
        return replace(found, **{name: each() if callable(each) else each for name, each in changes.items()})

    return strategy


def batched(change: Callable[[Batch], Any]) -> Callable[..., Any]:
    """A sound strategy whose batches are changed."""

    def strategy(p: Any, run: RunSpec) -> Any:
        search = sound(p, run)
        results = yield change(next(search))
        try:
            search.send(results)
        except StopIteration as end:
            return end.value

    return strategy


def changed(batch: Batch, **changes: Any) -> Batch:
    """With what its types do not allow."""
    return replace(batch, **changes)


def returning(value: Any) -> Callable[..., Any]:
    def strategy(p: Any, run: RunSpec) -> Any:
        yield from sound(p, run)
        return value

    return strategy


def at_once(p: Any, run: RunSpec) -> Any:
    search = sound(p, run)
    return drive(search, testing.Scripted(testing.bowl).run_batch)


def careless(p: Any, run: RunSpec) -> Any:
    """Divides by what is 0 where every job diverged."""
    results = yield Batch("a look", [SegmentJob(0, run.steps, PiecewiseLinear(((0, lr),))) for lr in p.lrs])
    1 / sum(result.status == "ok" for result in results)
    return (yield from sound(p, run))


def gambling(p: Any, run: RunSpec) -> Any:
    return (yield from sound(Params((random.random(), *p.lrs)), run))


seen: list[float] = []


def remembering(p: Any, run: RunSpec) -> Any:
    seen.append(0.1 + len(seen))
    return (yield from sound(Params((*p.lrs, *seen)), run))


def eager_to_stop(p: Any, run: RunSpec) -> Any:
    """Reads a mean loss of a job that may be stopped."""
    jobs = [SegmentJob(0, run.steps, PiecewiseLinear(((0, lr),))) for lr in p.lrs]
    results = yield Batch("the run", jobs, tolerance=Tolerance(0.0))
    worst = max(range(len(jobs)), key=lambda i: results[i].mean_loss if results[i].status == "ok" else -1.0)
    return SearchResult(jobs[worst].schedule, results[worst].key)


@dataclass(frozen=True)
class Falling:
    """LRs below 0."""

    lr: float = 0.1

    def __call__(self, step: float) -> float:
        return self.lr - step


def falling(p: Any, run: RunSpec) -> Any:
    del p
    (result,) = yield Batch("the run", [SegmentJob(0, run.steps, Falling())])
    return replace((yield from sound(Params(), run)), schedule=Falling(), checkpoint=result.key)


FLAT = ScheduleRecord("piecewise-linear", {"knots": [[0, 0.1]]})
STRAY = Segment(1, 0, 60, 0.0, 0.0, (Candidate(0.1, 1.0, "ok", "nobody"),), 0.1, 1.0)

STRATEGIES: dict[str, tuple[Any, str] | tuple[Any, str, Any]] = {
    "params that can be changed": (sound, "Changeable can be changed", Changeable()),
    "params that are no flags": (sound, "on its way through a recipe raised UsageError: params.more", Nested()),
    "params that change themselves": (sound, "comes back from a recipe as", Twisted()),
    "params that are no dataclass": (sound, "dict is no dataclass", {"lrs": (0.1,)}),
    "no generator": (at_once, "a strategy must be a generator function"),
    "returns nothing": (returning(None), "a strategy must yield batches and return a SearchResult, got None"),
    "returns a dict": (returning({"schedule": None}), "a strategy must yield batches and return a SearchResult"),
    "yields jobs": (batched(lambda batch: batch.jobs), "a strategy must yield batches and return a SearchResult"),
    "yields no jobs": (batched(lambda batch: replace(batch, jobs=[])), "batch 'the run' has no jobs"),
    "yields schedules": (batched(lambda batch: changed(batch, jobs=[batch.jobs[0].schedule])), "must be SegmentJobs"),
    "title": (batched(lambda batch: changed(batch, title=3)), "a batch's title must be a string, got 3"),
    "keeps a list": (batched(lambda batch: changed(batch, keep=["a"])), "keep must be a frozenset"),
    "float cells": (
        saying(tables=lambda: (Table("T", ("a", "b"), (("x", 0.5),)),)),  # type: ignore[arg-type]
        "table 'T': columns and rows must be 2 strings each, got \\('x', 0.5\\)",
    ),
    "ragged rows": (saying(tables=lambda: (Table("T", ("a", "b"), (("x",),)),)), "must be 2 strings each"),
    "float data": (saying(data=lambda: (DataFile("rows", ("a",), ((1.0,),)),)), "data file 'rows'"),  # type: ignore[arg-type]
    "a field's name": (saying(summary={"test_loss": 0.0}), "summary: 'test_loss' is a name of the result's own"),
    "the format": (saying(summary={"format": "mine"}), "summary: 'format' is a name of the result's own"),
    "an array": (saying(summary={"x": np.ones(2)}), "storing what was found raised TypeError"),
    "a set": (saying(summary={"x": {1}}), "storing what was found raised TypeError"),
    "keys": (saying(summary={1: "x"}), "the summary does not survive JSON"),
    "notes": (saying(notes=(3,)), "notes, next and chosen_by must be strings, got 3"),
    "next": (saying(next=["lrctl", "local"]), "notes, next and chosen_by must be strings"),
    "trace": (saying(trace=(STRAY,)), "name a job that was never asked for"),
    "results": (saying(results=(TrainedRun("x", FLAT, "nobody", 1.0, 1.0, 1.0, 1.0),)), "never asked for"),
    "checkpoint": (saying(checkpoint="nobody"), "the checkpoint found is not one of the search's jobs"),
    "no schedule": (saying(schedule=None), "but no schedule was found"),
    "all diverged": (careless, "where every job diverges, raised ZeroDivisionError"),
    "chance": (gambling, "a replay"),
    "memory": (remembering, "a replay"),
    "stopped jobs": (eager_to_stop, "stopping changed what was found"),
    "an LR below 0": (falling, "gives LR -0.9 at step 1"),
}


@pytest.mark.parametrize("case", STRATEGIES.values(), ids=STRATEGIES)
def test_a_wrong_strategy_is_found(case: tuple[Any, ...]) -> None:
    strategy, message, *params = case
    with pytest.raises(AssertionError, match=message):
        testing.check_strategy(strategy, *params or [Params()])


def test_a_sound_strategy_passes() -> None:
    testing.check_strategy(sound, Params())
