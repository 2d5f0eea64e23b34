"""Parts that are wrong in one way each: the contract checks find every one, before a search does at its end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrctl import testing
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Batch, Candidate, RunSpec, SearchResult, Segment, Tolerance, TrainedRun, drive
from lrctl.contracts.table import DataFile, Table

# Strategies


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


# Schedules


@dataclass(frozen=True)
class Flat:
    """A sound one."""

    lr: float = 0.1

    def __call__(self, _step: float) -> Any:
        return self.lr


class NoDataclass:
    def __call__(self, _step: float) -> float:
        return 0.1


@dataclass(unsafe_hash=True)
class Open:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr


@dataclass(frozen=True)
class Text(Flat):
    def __call__(self, _step: float) -> Any:
        return "0.1"


@dataclass(frozen=True)
class Nothing(Flat):
    def __call__(self, step: float) -> Any:
        return None if step > 5 else 0.1


@dataclass(frozen=True)
class OfTensors(Flat):
    def __call__(self, _step: float) -> Any:
        return torch.tensor(0.1)


@dataclass(frozen=True)
class Complex(Flat):
    def __call__(self, step: float) -> Any:
        return (-1.0 - step) ** 0.5


@dataclass(frozen=True)
class Inverse(Flat):
    def __call__(self, step: float) -> Any:
        return self.lr / step


@dataclass(frozen=True)
class Lookup:
    lrs_by_step: tuple[float, ...] = tuple(0.1 for _ in range(21))

    def __call__(self, step: float) -> float:
        return self.lrs_by_step[step]  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True)
class EndsInNan(Flat):
    def __call__(self, step: float) -> Any:
        return float("nan") if step == 20 else 0.1


@dataclass(frozen=True)
class Unhashable:
    lrs_by_step: list[float] = field(default_factory=lambda: [0.1])

    def __call__(self, _step: float) -> float:
        return self.lrs_by_step[0]


@dataclass(frozen=True)
class OfFunctions:
    shape: Callable[[float], float] = abs

    def __call__(self, step: float) -> float:
        return self.shape(step)


@dataclass(frozen=True)
class Doubled(Flat):
    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", self.lr * 2)


@dataclass(frozen=True)
class OtherLrs(Flat):
    def lrs(self, steps: Sequence[float]) -> list[float]:
        return [2 * self.lr for _ in steps]


@dataclass(frozen=True)
class FewLrs(Flat):
    def lrs(self, steps: Sequence[float]) -> list[float]:
        return [self.lr for _ in steps[1:]]


@dataclass(frozen=True)
class Hidden:
    lr: float = field(default=0.1, init=False)

    def __call__(self, _step: float) -> float:
        return self.lr


SCHEDULES: dict[str, tuple[Any, str]] = {
    "no dataclass": (NoDataclass(), "NoDataclass is no dataclass"),
    "can be changed": (Open(), "Open can be changed"),
    "text": (Text(), "gives '0.1' at step 0; it must be a number"),
    "nothing": (Nothing(), "gives None at step 5.5; it must be a number"),
    "tensors": (OfTensors(), "it must be a number"),
    "complex": (Complex(), "it must be a number"),
    "divides by the step": (Inverse(), "at step 0 raised ZeroDivisionError"),
    "whole steps only": (Lookup(), "at step 0 raised TypeError"),
    "NaN at the end": (EndsInNan(), "gives nan at step 20"),
    "a list": (Unhashable(), "raised TypeError: unhashable type"),
    "a function": (OfFunctions(), "on its way through JSON raised TypeError"),
    "changes itself": (Doubled(), "equal schedules must have equal hashes|comes back from JSON as"),
    "other LRs": (OtherLrs(), "gives other LRs than a call for each step"),
    "too few LRs": (FewLrs(), "gives other LRs than a call for each step"),
    "a hidden field": (Hidden(), "on its way through JSON raised"),
}


@pytest.mark.parametrize(("schedule", "message"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_wrong_schedule_is_found(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_schedule(schedule, 20)


# Workloads


class Sound:
    def model(self) -> Any:
        return nn.Linear(2, 1)

    def batch(self, step: int) -> Any:
        return torch.full((3, 2), 1.0 + step)

    def loss(self, model: Any, batch: Any) -> Any:
        return model(batch).square().mean()

    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": float(self.loss(model, self.batch(len(split))))}


class OneModel(Sound):
    kept = nn.Linear(2, 1)

    def model(self) -> Any:
        return self.kept


class NoModule(Sound):
    def model(self) -> Any:
        return lambda batch: batch

    def optimizer(self, _model: Any) -> Any:
        return None


class Iterating(Sound):
    def __init__(self) -> None:
        self.batches = iter(torch.arange(1000.0))

    def batch(self, _step: int) -> Any:
        return next(self.batches) * torch.ones(3, 2)


class FloatLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return float(super().loss(model, batch).detach())


class DictLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return {"nll": super().loss(model, batch)}


class TwoLosses(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch), model(batch), super().loss(model, batch)


class NanLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) * float("nan")


class NegativeLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) - 100


class FailingLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return model(batch.reshape(2, 3)).mean()


class NoMetrics(Sound):
    def evaluate(self, _model: Any, _split: str) -> Any:
        return None


class ListOfMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return [super().evaluate(model, split)["loss"], 0.5]


class OtherKey(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {"eval_loss": super().evaluate(model, split)["loss"]}


class TensorMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": super().evaluate(model, split)["loss"], "accuracy": torch.tensor(0.5)}


class TextMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {**super().evaluate(model, split), "which": split}


class Validating(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return super().evaluate(model, {"validation": split}[split])


class TrainsOn(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        metrics = super().evaluate(model, split)
        for parameter in model.parameters():
            parameter.mul_(0.5)
        return metrics


class ListOfOptimizers(Sound):
    def optimizer(self, model: Any) -> Any:
        return [torch.optim.SGD(model.parameters(), lr=0.1)]


class AnotherModels(Sound):
    def optimizer(self, _model: Any) -> Any:
        return torch.optim.SGD(self.model().parameters(), lr=0.1)


class NoDigest(Sound):
    def prepare(self) -> Any:
        return None


class OtherScores(Sound):
    count = iter(range(1000))

    def score_batch(self, _i: int) -> Tensor:
        return torch.full((3, 2), float(next(self.count)))


WORKLOADS: dict[str, tuple[Any, str]] = {
    "one model": (OneModel(), r"model\(\) gives the same model each time"),
    "no module": (NoModule(), r"model: must return a torch.nn.Module"),
    "an iterator": (Iterating(), r"batch\(0\) gave another batch when it was asked for again"),
    "loss is a float": (FloatLoss(), "must return a scalar tensor, .* got a float"),
    "loss is a dict": (DictLoss(), r"must return a scalar tensor, .* got a dict with 'nll': tensor of shape \(\)"),
    "two losses": (TwoLosses(), r"got a tuple of 3: tensor of shape \(\), tensor of shape \(3, 1\), tensor of shape"),
    "loss is NaN": (NanLoss(), "the loss of the untrained model is nan"),
    "loss below 0": (NegativeLoss(), "set signed_loss = True"),
    "loss fails": (FailingLoss(), "loss: RuntimeError: "),
    "no metrics": (NoMetrics(), "evaluate: must return metrics by name, .* got None"),
    "a list": (ListOfMetrics(), "evaluate: must return metrics by name, .* got a list of 2: float, float"),
    "another key": (OtherKey(), "evaluate: must return metrics by name, .* got a dict with 'eval_loss': float"),
    "text": (TextMetrics(), "evaluate: must return a number for each metric"),
    "one split only": (Validating(), "evaluation: KeyError: 'test'"),
    "trains as it evaluates": (TrainsOn(), r"evaluate\(\) changed the model"),
    "optimizers": (ListOfOptimizers(), "optimizer: must return one torch.optim.Optimizer, got a list"),
    "another model's optimizer": (AnotherModels(), "SGD holds none of the parameters of the model it was given"),
    "no digest": (NoDigest(), r"prepare\(\) gave None; return a digest of the data"),
    "other scores": (OtherScores(), r"score_batch\(i\) gave two batches for one i"),
}


@pytest.mark.parametrize(("workload", "message"), WORKLOADS.values(), ids=WORKLOADS)
def test_a_wrong_workload_is_found(workload: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_workload(workload)


def test_metrics_may_be_tensors_of_one_number() -> None:
    testing.check_workload(TensorMetrics())


# Executors


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


def test_what_they_are_wrong_in_makes_the_difference() -> None:
    testing.check_strategy(sound, Params())
    testing.check_schedule(Flat(), 20)
    testing.check_workload(Sound())
    testing.check_executor(Serial(), testing.SPEC, JOBS)
