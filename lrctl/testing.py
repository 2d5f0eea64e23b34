"""Contract tests for plugin authors: each `check_...` raises AssertionError where a part breaks its contract.

lrctl's own tests run them over every built-in part.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from lrctl.contracts.axes import stretch, tunable, with_peak
from lrctl.contracts.exact import Exact
from lrctl.contracts.executor import Attempt, Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import OPTIMIZERS, AdamW
from lrctl.contracts.params import fields_of
from lrctl.contracts.result import JobRecord, JobResult
from lrctl.contracts.schedule import AdaptiveSchedule, Observation, Probing, Schedule, Scope, params_of
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, Strategy, drive
from lrctl.contracts.workload import Prepared, Scored, WithOptimizer, Workload
from lrctl.errors import LrctlError, UsageError
from lrctl.registry.schedules import build_schedule
from lrctl.registry.values import build
from lrctl.storage.run_result import RunResult

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


@contextmanager
def calling(what: str) -> Iterator[None]:
    """A block in which a part is called: whatever it raises breaks the contract, and is told with what was called."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


def check_schedule(schedule: Schedule, steps: int) -> None:
    """A schedule is a frozen, comparable dataclass, finite and >= 0 on [0, steps], and survives JSON.

    If its family is tunable, its LR is linear in its peak, and stretching it keeps its shape.
    """
    assert isinstance(schedule, Schedule), f"{schedule!r} cannot be called"
    check_frozen(schedule)
    with calling(f"hash() of {schedule!r}"):
        assert hash(schedule) == hash(dataclasses.replace(schedule)), "equal schedules must have equal hashes"  # type: ignore[type-var]
    for step in (half / 2 for half in range(2 * steps + 1)):  # plots ask between the steps too
        with calling(f"{schedule!r} at step {step:g}"):
            lr = schedule(step)
        assert isinstance(lr, int | float), f"{schedule!r} gives {lr!r} at step {step:g}; it must be a number"
        assert math.isfinite(lr), f"{schedule!r} gives {lr} at step {step:g}"
        assert lr >= 0, f"{schedule!r} gives {lr} at step {step:g}"
        assert schedule(step) == lr, f"{schedule!r} gives two values at step {step:g}"
    check_json(schedule)
    if hasattr(schedule, "lrs"):
        check_lrs(schedule, range(steps))
    if tunable(type(schedule)):
        check_tunable(schedule)


def check_frozen(built: object) -> None:
    """An instance of a dataclass that cannot be changed."""
    kind = type(built)
    assert dataclasses.is_dataclass(built), f"{kind.__name__} is no dataclass"
    assert kind.__dataclass_params__.frozen, f"{kind.__name__} can be changed: write @dataclass(frozen=True)"  # type: ignore[attr-defined]


def check_lrs(schedule: Any, steps: Sequence[int]) -> None:
    """What `lrs` gives for many steps at once is what a call gives for each."""
    with calling(f"{schedule!r}.lrs()"):
        given = [float(lr) for lr in schedule.lrs(steps)]
    expected = [schedule(step) for step in steps]
    near = (math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(given, expected, strict=False))
    alike = len(given) == len(expected) and all(near)
    assert alike, f"{schedule!r}.lrs() gives other LRs than a call for each step"


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
    with calling(f"{schedule!r} on its way through JSON"):
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

    Where its batches allow jobs to be stopped, it finds the same with as many of them stopped as can be. Where every
    job diverges, it raises an error of lrctl's, or finds something all the same. What it says can be shown and stored.
    """
    check_params(params)
    found, batches = played(strategy, params, steps)
    again, replayed = played(strategy, params, steps)
    check_told(found)
    assert found == again, "a replay found something else"
    assert [b.jobs for b in batches] == [b.jobs for b in replayed], "a replay asked for other jobs"
    fewer, asked = played(strategy, params, steps, stopping=True)
    assert (fewer.schedule, fewer.checkpoint) == (found.schedule, found.checkpoint), "stopping changed what was found"
    assert [b.jobs for b in asked] == [b.jobs for b in batches], "stopping changed which jobs were asked for"
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}
    for job in jobs.values():
        assert 0 <= job.start <= job.stop <= steps, f"{job} leaves the run"
        assert job.parent is None or job.parent in jobs, f"{job} continues from a job that was never asked for"
        assert job.parent is None or jobs[job.parent].stop == job.start, f"{job} does not start where its parent ends"
    named = {each.key for segment in found.trace for each in segment.candidates if each.status != "skipped"}
    named |= {each.checkpoint for each in found.results if each.checkpoint}
    assert named <= jobs.keys(), "the trace or the results name a job that was never asked for"
    if jobs:
        check_answer(found, jobs, steps)
        played(strategy, params, steps, lambda _: math.inf)


def check_params(params: Any) -> None:
    """Parameters are a frozen dataclass whose fields have help, and can be flags and keys of a recipe."""
    check_frozen(params)
    for field in fields_of(type(params)):
        assert field.help, f"{type(params).__name__}.{field.name}: write its help as Annotated[type, 'help']"
    with calling(f"{params!r} on its way through a recipe"):
        given = {name: value for name, value in dataclasses.asdict(params).items() if value is not None}
        again = build(type(params), json.loads(json.dumps(given, allow_nan=False)), "params")
    assert again == params, f"{params!r} comes back from a recipe as {again!r}"


def played(
    strategy: Strategy, params: Any, steps: int, loss: Landscape | None = None, *, stopping: bool = False
) -> tuple[SearchResult, list[Batch]]:
    """As `play`, of a strategy that may break any rule; one that gives up says so by an error of lrctl's."""
    batches: list[Batch] = []
    script = Scripted(loss or bowl, stopping=stopping)

    def run_batch(batch: Batch) -> list[JobResult]:
        check_batch(batch)
        batches.append(batch)
        return script.run_batch(batch)

    where = "the strategy, where every job diverges," if loss else "the strategy"
    with calling(where):
        search = strategy(params, run_spec(steps))
        assert isinstance(search, Generator), "a strategy must be a generator function"
        try:
            found = drive(search, run_batch)
        except LrctlError:
            if loss is None:
                raise
            return SearchResult(None, None), batches
    assert isinstance(found, SearchResult), f"a strategy must yield batches and return a SearchResult, got {found!r}"
    return found, batches


def check_batch(batch: Batch) -> None:
    """A batch is what a session can run and an observer can show."""
    assert isinstance(batch.title, str), f"a batch's title must be a string, got {batch.title!r}"
    assert len(batch.jobs), f"batch {batch.title!r} has no jobs"
    assert all(isinstance(job, SegmentJob) for job in batch.jobs), (
        f"batch {batch.title!r}: its jobs must be SegmentJobs"
    )
    assert isinstance(batch.keep, frozenset), f"batch {batch.title!r}: keep must be a frozenset, got {batch.keep!r}"


def check_told(found: SearchResult) -> None:
    """What a strategy says of its result can be shown to people, and stored as JSON under names of its own."""
    for text in (found.chosen_by, found.next, *found.notes):
        assert isinstance(text, str), f"notes, next and chosen_by must be strings, got {text!r}"
    shown = ("summary", "tables", "charts", "data", "results")
    as_found: dict[str, Any] = {name: getattr(found, name) for name in shown}
    with calling("storing what was found"):
        facts: dict[str, Any] = {"command": "", "run": "", "workload": "", "seed": 0, "steps": 1, "schedule": None}
        result = RunResult(**facts, **as_found, segments=found.trace)
        stored = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert stored == result.to_json() == RunResult.from_json(stored).to_json(), "the summary does not survive JSON"
    if found.schedule is not None:
        check_json(found.schedule)


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
        with calling("prepare()"):
            digest, again = workload.prepare(), workload.prepare()
        assert digest == again, "prepare() gave two digests"
        assert isinstance(digest, str), f"prepare() must give a string, got {digest!r}"
    model, other = workload.model(), workload.model()
    assert isinstance(model, torch.nn.Module), f"model() must give a torch.nn.Module, got {model!r}"
    shared = {id(p) for p in model.parameters()} & {id(p) for p in other.parameters()}
    assert not shared, "model() gave the same parameters twice; it must make a new model each time"
    if isinstance(workload, WithOptimizer):
        check_optimizer(workload, model)
    check_loss(workload, model)
    check_evaluation(workload, model)
    spec = dataclasses.replace(SPEC, optimizer=None if isinstance(workload, WithOptimizer) else AdamW())
    job = SegmentJob(0, steps, Constant(1e-3), evaluate=("validation", "test"))
    if isinstance(workload, Scored):
        with suppress(UsageError):  # it may have nothing in reserve
            workload.score_batch(0)
            job = dataclasses.replace(job, score_batches=1)
    with torch.random.fork_rng(), calling("training"):
        first, second = train(workload, spec, job), train(workload, spec, job)
        try:
            check_purity(workload, spec)
        except UsageError as error:
            raise AssertionError(str(error)) from error
    assert first.score == second.score, "scoring twice gave two different scores"
    assert first.metrics == second.metrics, "evaluating twice gave different metrics"
    alike = first.metrics["validation"] == first.metrics["test"]
    assert isinstance(workload, Exact) or not alike, "validation and test look like the same data"


def check_optimizer(workload: Any, model: Any) -> None:
    """A workload's own optimizer is one of torch's, over the parameters of the model that it was given."""
    import torch

    with calling("optimizer(model)"):
        optimizer = workload.optimizer(model)
    assert isinstance(optimizer, torch.optim.Optimizer), (
        f"optimizer() must give a torch.optim.Optimizer, got {optimizer!r}"
    )
    own = {id(parameter) for parameter in model.parameters()}
    stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert stepped <= own, "optimizer() steps parameters that are not the model's; take them from the model it is given"


def check_loss(workload: Workload, model: Any) -> None:
    """The loss is a scalar tensor with a gradient, finite, and at least 0 unless `signed_loss` is true."""
    import torch

    with calling("loss(model, batch(0))"):
        loss = workload.loss(model, workload.batch(0))
    assert isinstance(loss, torch.Tensor), f"the loss must be a scalar tensor, got {loss!r}"
    assert loss.shape == (), f"the loss has shape {tuple(loss.shape)}; it must be a scalar"
    assert loss.requires_grad, "the loss has no gradient"
    assert math.isfinite(loss.item()), f"the loss of the untrained model is {loss.item()}"
    signed = getattr(workload, "signed_loss", False)
    assert loss.item() >= 0 or signed, (
        f"the loss is {loss.item()}; a workload whose losses may be negative says signed_loss = True"
    )


def check_evaluation(workload: Workload, model: Any) -> None:
    """Metrics are finite numbers by name, `loss` among them, and evaluating leaves the model as it was."""
    import torch

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for split in ("validation", "test"):
        model.eval()
        with calling(f"evaluate(model, {split!r})"), torch.no_grad():
            metrics = workload.evaluate(model, split)
        named = isinstance(metrics, Mapping) and "loss" in metrics
        assert named, f"evaluate() must give metrics by name with a 'loss' among them, got {metrics!r}"
        for name, value in metrics.items():
            assert isinstance(value, int | float), (
                f"evaluate(): {name} must be a number, got {value!r}; write float(...)"
            )
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "evaluate() changed the model"


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """The same LR at every step."""

    lr: float

    def __call__(self, _step: float) -> float:
        """The LR."""
        return self.lr


def scripted_attempt(spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """An `Attempt` that trains nothing: every job has a mean loss of its own, which its key decides."""
    key = job.key(spec)
    return JobRecord(key, "ok", int(key[:8], 16) / 2**32, steps=job.steps, parent=job.parent, run=spec.run)


def check_executor(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob], attempt: Attempt | None = None) -> None:
    """An executor gives for each job what `attempt` gives of it, and serves one search after another.

    Jobs must succeed. `attempt` is what it was built with, or the same with another store; where it is left out and the
    task is `SPEC`, `scripted_attempt`.
    """
    assert isinstance(executor, Executor), f"{type(executor).__name__} lacks run or close"
    if attempt is None and spec.workload == SPEC.workload:
        attempt = scripted_attempt
    later = dataclasses.replace(spec, seed=spec.seed + 1)
    with closing(executor):
        check_results(executor, spec, jobs, attempt)
        with calling("run() without jobs"):
            assert list(executor.run(spec, [])) == [], "there were results without jobs"
        given_up = iter(executor.run(spec, jobs))
        next(given_up)
        if hasattr(given_up, "close"):
            given_up.close()
        check_results(executor, later, jobs, attempt)  # whatever was left of the search before
    with calling("close(), called twice,"):
        executor.close()


def check_results(executor: Executor, spec: TrainSpec, jobs: list[SegmentJob], attempt: Attempt | None) -> None:
    """One search's results are those of its own jobs."""
    with calling("run()"):
        results = list(executor.run(spec, jobs))
    assert all(isinstance(r, JobRecord) for r in results), f"run() must yield what attempt() gives, got {results!r}"
    expected = {job.key(spec): job for job in jobs}
    assert sorted(r.key for r in results) == sorted(expected), "not one result per job"
    assert all(r.status == "ok" for r in results), f"a job failed: {[r.failure for r in results if r.failure]}"
    for result in results if attempt else ():
        assert attempt is not None
        wanted = attempt(spec, expected[result.key]).answer()
        assert result.answer() == wanted, f"run() gave {result.answer()}, attempt() gives {wanted}"
