"""Contract tests for plugin authors: each `check_...` raises AssertionError where a part breaks its contract.

lrctl's own tests run them over every built-in part.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

from lrctl.contracts.axes import stretch, tunable, with_peak
from lrctl.contracts.exact import Exact
from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import OPTIMIZERS, AdamW
from lrctl.contracts.params import fields_of
from lrctl.contracts.result import JobRecord, JobResult
from lrctl.contracts.schedule import AdaptiveSchedule, Observation, Probing, Schedule, Scope, params_of
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, Strategy, drive
from lrctl.contracts.workload import Prepared, Workload
from lrctl.errors import UsageError
from lrctl.registry.schedules import build_schedule

SPEC = TrainSpec(workload="scripted", workload_params={}, content="", seed=0, optimizer=None)
"""A task for scripted searches: no workload is ever built."""

Landscape = Callable[[SegmentJob], float]
"""The mean loss that each job is to have."""


def run_spec(steps: int) -> RunSpec:
    """A run of so many steps, with every optimizer at its defaults."""
    return RunSpec(steps, optimizers={name: kind() for name, kind in OPTIMIZERS.items()})


@dataclasses.dataclass(slots=True)
class Scripted:
    """Stands for training: every job has the mean loss that a landscape says, +inf being divergence.

    With `stopping`, jobs that cannot be chosen are stopped, as many as ever can be.
    """

    loss: Landscape
    batches: list[Batch] = dataclasses.field(default_factory=list)
    stopping: bool = False

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """The results of a batch."""
        self.batches.append(batch)
        results = [self.result(job) for job in batch.jobs]
        return stopped(batch, results) if self.stopping else results

    def result(self, job: SegmentJob) -> JobResult:
        """The result of one job."""
        loss = self.loss(job)
        metrics = {split: {"loss": loss} for split in job.evaluate}
        status: Any = "ok" if math.isfinite(loss) else "diverged"
        steps = job.stop - job.start
        return JobResult(
            job.key(SPEC),
            status,
            loss,
            steps,
            score=loss,
            metrics=metrics,
            train_loss=loss if job.evaluate else None,
            stage_losses=(loss,) * len(job.stages),
        )


def stopped(batch: Batch, results: list[JobResult]) -> list[JobResult]:
    """The results of a batch, where no job that cannot be chosen was trained to its end."""
    pairs = list(zip(batch.jobs, results, strict=True))
    best = min((r.mean_loss for job, r in pairs if not job.frozen), default=math.inf)
    frozen = next((r.mean_loss for job, r in pairs if job.frozen), None)
    bound = batch.tolerance.bound(best, frozen) if batch.tolerance else None
    return [
        result
        if bound is None or job.frozen or result.mean_loss <= bound
        # A job that diverges is stopped as any other.
        else dataclasses.replace(result, status="stopped", mean_loss=math.inf, at_least=bound)
        for job, result in pairs
    ]


def play(
    strategy: Strategy, params: Any, steps: int, loss: Landscape, *, stopping: bool = False
) -> tuple[SearchResult, list[Batch]]:
    """Run a whole search on a scripted landscape, in milliseconds: what it found and the batches it asked for."""
    script = Scripted(loss, stopping=stopping)
    return drive(strategy(params, run_spec(steps)), script.run_batch), script.batches


def check_schedule(schedule: Schedule, steps: int) -> None:
    """A schedule is a frozen, comparable dataclass, finite and >= 0 on [0, steps], and survives JSON.

    If its family is tunable, its LR is linear in its peak, and stretching it keeps its shape.
    """
    assert isinstance(schedule, Schedule), f"{schedule!r} cannot be called"
    assert hash(schedule) == hash(dataclasses.replace(schedule)), "equal schedules must have equal hashes"  # type: ignore[type-var]
    for step in range(steps + 1):
        lr = schedule(step)
        assert math.isfinite(lr), f"{schedule!r} gives {lr} at step {step}"
        assert lr >= 0, f"{schedule!r} gives {lr} at step {step}"
        assert schedule(step) == lr, f"{schedule!r} gives two values at step {step}"
    check_json(schedule)
    if tunable(type(schedule)):
        check_tunable(schedule)


def check_tunable(schedule: Any) -> None:
    """A tunable schedule's LR is linear in its peak, and the shape stays the same when it is stretched."""
    lower, higher = with_peak(schedule, schedule.peak_lr / 2), with_peak(schedule, schedule.peak_lr * 3)
    longer = stretch(schedule, schedule.steps, schedule.steps * 2)
    for step in range(schedule.steps + 1):
        lr = schedule(step)
        # A family may leave out a warmup of at most one step, which would give LR 0 to the first update and no more.
        begins = step == 0 and longer(0) == 0
        for other, expected in ((lower(step), lr / 2), (higher(step), lr * 3)):
            near = math.isclose(other, expected, rel_tol=1e-9, abs_tol=schedule.peak_lr * 1e-9)
            assert near, f"{schedule!r} is not linear in peak_lr at step {step}: {other}, not {expected}"
        near = math.isclose(longer(step * 2), lr, rel_tol=1e-9, abs_tol=schedule.peak_lr * 1e-9)
        assert near or begins, (
            f"{schedule!r}, stretched to twice its steps, has LR {longer(step * 2)} at step {step * 2}, not {lr}"
        )


def check_json(schedule: object) -> None:
    """A schedule's parameters survive JSON."""
    again = build_schedule(type(schedule), json.loads(json.dumps(params_of(schedule), allow_nan=False)))
    assert again == schedule, f"{schedule!r} comes back from JSON as {again!r}"


def check_adaptive_schedule(schedule: AdaptiveSchedule, losses: list[float]) -> None:
    """An adaptive schedule is pure, its LRs are finite, and its state survives being saved at every step.

    Its LRs are >= 0 unless it is `signed`, and several only if its `scope` says so. One that probes is shown a scripted
    `UpdateContext` of two param groups; its state may hold the arrays that this gives.
    """
    assert isinstance(schedule, AdaptiveSchedule), f"{schedule!r} lacks init() or update()"
    check_json(schedule)
    state = schedule.init()
    for step, loss in enumerate(losses):
        if isinstance(schedule, Probing):
            state = changed("probe()", schedule.probe, state, ScriptedContext(step, loss))
        before = saved(state)
        lrs = lrs_of(schedule, step, state)
        assert lrs == lrs_of(schedule, step, state), f"{schedule!r} gives two values at step {step}"
        assert saved(state) == before, "asking for the LR changed the state"
        for lr in lrs:
            assert math.isfinite(lr), f"{schedule!r} gives {lr} at step {step}"
            assert lr >= 0 or getattr(schedule, "signed", False), f"{schedule!r} gives {lr} at step {step}"
        observation = Observation(step, math.fsum(lrs) / len(lrs), loss)
        state = changed("update()", schedule.update, state, observation)


@dataclasses.dataclass(frozen=True, slots=True)
class ScriptedContext:
    """Stands for an update: products that swing about 0, and a parabola along the gradient step.

    There are two param groups, of one parameter each; arrays are numpy's.
    """

    step: int
    loss: float

    def products(self, scope: Scope) -> tuple[Any, ...]:
        """As `UpdateContext` says."""
        import numpy as np

        arrays = np.sin(np.arange(1.0, 7.0) + self.step).reshape(2, 3), np.cos(np.arange(4.0) + self.step)
        sums = tuple(float(array.sum()) for array in arrays)
        return {"element": arrays, "group": sums, "global": (sum(sums),)}[scope]

    def slope(self) -> float:
        """As `UpdateContext` says."""
        return 1.0 + self.step % 3

    def loss_at(self, lr: float) -> float:
        """As `UpdateContext` says."""
        return self.loss - lr * self.slope() + lr * lr


def lrs_of(schedule: AdaptiveSchedule, step: int, state: Any) -> list[float]:
    """Every LR that a schedule gives for an update."""
    given, scope = schedule(step, state), getattr(schedule, "scope", "global")
    if not isinstance(given, tuple | list):
        return [float(given)]
    assert scope != "global", f"{schedule!r} gives several LRs, but its scope is global"
    return [float(lr) for each in given for lr in (each.ravel() if scope == "element" else [each])]


def changed(what: str, change: Callable[[Any, Any], Any], state: Any, seen: Any) -> Any:
    """What `change` makes of a state, which it must leave as it is, and take as JSON brings it back."""
    before = saved(state)
    after = change(state, seen)
    assert saved(state) == before, f"{what} changed the state it was given"
    assert saved(change(json.loads(before, object_hook=array), seen)) == saved(after), "the state lost by JSON"
    return after


def saved(state: Any) -> str:
    """A state as JSON, arrays and all."""
    try:
        return json.dumps(state, sort_keys=True, allow_nan=False, default=lambda each: {"array": each.tolist()})
    except (AttributeError, TypeError, ValueError) as error:
        raise AssertionError(f"the state {state!r} cannot be saved: {error}") from error


def array(saved: dict[str, Any]) -> Any:
    """The inverse of what `saved` makes of an array."""
    import numpy as np

    return np.array(saved["array"]) if set(saved) == {"array"} else saved


def check_strategy(strategy: Strategy, params: Any, steps: int = 60) -> None:
    """A strategy asks for the same jobs when it is replayed, stays within the run, and its answer is trained to T.

    Where its batches allow jobs to be stopped, it finds the same with as many of them stopped as can be.
    """
    for field in fields_of(type(params)):
        assert field.help, f"{type(params).__name__}.{field.name}: write its help as Annotated[type, 'help']"
    found, batches = play(strategy, params, steps, bowl)
    again, replayed = play(strategy, params, steps, bowl)
    assert found == again, "a replay found something else"
    assert [b.jobs for b in batches] == [b.jobs for b in replayed], "a replay asked for other jobs"
    fewer, asked = play(strategy, params, steps, bowl, stopping=True)
    assert (fewer.schedule, fewer.checkpoint) == (found.schedule, found.checkpoint), "stopping changed what was found"
    assert [b.jobs for b in asked] == [b.jobs for b in batches], "stopping changed which jobs were asked for"
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}
    for job in jobs.values():
        assert 0 <= job.start <= job.stop <= steps, f"{job} leaves the run"
        assert job.parent is None or job.parent in jobs, f"{job} continues from a job that was never asked for"
        assert job.parent is None or jobs[job.parent].stop == job.start, f"{job} does not start where its parent ends"
    if jobs:
        check_answer(found, jobs, steps)


def check_answer(found: SearchResult, jobs: dict[str, SegmentJob], steps: int) -> None:
    """What was found ends the run, and its schedule is the one that the jobs leading to it used."""
    assert found.checkpoint in jobs, "the checkpoint found is not one of the search's jobs"
    assert jobs[found.checkpoint].stop == steps, "the checkpoint found is not the end of the run"
    assert found.schedule is not None, "the run ends with a checkpoint, but no schedule was found"
    if isinstance(found.schedule, AdaptiveSchedule):
        return
    key: str | None = found.checkpoint
    used: list[float] = []
    while key is not None:
        used = [*(jobs[key].lrs or ()), *used]
        key = jobs[key].parent
    assert used == [found.schedule(step) for step in range(steps)], "the schedule is not the one that was trained"


def bowl(job: SegmentJob) -> float:
    """A smooth landscape: the loss is lowest for a mean LR of 0.01, and falls as the run goes on."""
    mean = sum(job.lrs or [0.0]) / max(1, len(job.lrs or []))
    return abs(math.log10(mean + 1e-9) + 2.0) / (1 + job.stop)


def check_workload(workload: Workload, steps: int = 3) -> None:
    """A workload is a pure function of its arguments, gives a scalar loss with a gradient, and metrics with a loss."""
    import torch

    from lrctl.engine.purity import check_purity
    from lrctl.engine.trainer import train

    assert isinstance(workload, Workload), f"{type(workload).__name__} lacks model, batch, loss or evaluate"
    if isinstance(workload, Prepared):
        assert workload.prepare() == workload.prepare(), "prepare() gave two digests"
    model = workload.model()
    loss = workload.loss(model, workload.batch(0))
    assert loss.shape == (), f"the loss has shape {tuple(loss.shape)}; it must be a scalar"
    assert loss.requires_grad, "the loss has no gradient"
    spec = dataclasses.replace(SPEC, optimizer=AdamW())
    job = SegmentJob(0, steps, Constant(1e-3), evaluate=("validation", "test"))
    with torch.random.fork_rng():
        first, second = train(workload, spec, job), train(workload, spec, job)
        try:
            check_purity(workload, spec)
        except UsageError as error:
            raise AssertionError(str(error)) from error
    assert first.metrics == second.metrics, "evaluating twice gave different metrics"
    alike = first.metrics["validation"] == first.metrics["test"]
    assert isinstance(workload, Exact) or not alike, "validation and test look like the same data"


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """The same LR at every step."""

    lr: float

    def __call__(self, _step: float) -> float:
        """The LR."""
        return self.lr


def scripted_attempt(spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """An `Attempt` that trains nothing: every job has the mean loss 1."""
    return JobRecord(job.key(spec), "ok", 1.0, steps=job.steps, parent=job.parent, run=spec.run)


def check_executor(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob]) -> None:
    """An executor gives one result per job, `ok` for jobs that succeed; it can be closed twice, and used again."""
    assert isinstance(executor, Executor), f"{type(executor).__name__} lacks run or close"
    with closing(executor):
        results = list(executor.run(spec, jobs))
        assert sorted(r.key for r in results) == sorted(job.key(spec) for job in jobs), "not one result per job"
        assert all(r.status == "ok" for r in results), f"a job failed: {[r.failure for r in results if r.failure]}"
    executor.close()
    with closing(executor):
        assert len(list(executor.run(spec, jobs[:1]))) == 1, "does not run again once it was closed"
