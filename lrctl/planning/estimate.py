"""What a search would take, without training: its strategy is rehearsed on made-up results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrctl.contracts.job import COMPARED, FORWARD, SegmentJob, TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, advance, drive, relayed
from lrctl.contracts.workload import Scored, StandIn, Workload
from lrctl.engine.executors import Executors, side_by_side, workers_of
from lrctl.engine.prepare import device_of, load, spec_of
from lrctl.engine.session import SPLITS, check_goes_on
from lrctl.errors import LrctlError, MissingError, UsageError
from lrctl.planning.sharing import shortage
from lrctl.recipe.project import running
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import content_digest, origin
from lrctl.registry.registry import registry
from lrctl.storage.store import Store

if TYPE_CHECKING:
    from lrctl.planning.profile import Measured

MEASURED = (
    "seconds_per_step",
    "seconds_per_evaluation",
    "seconds",
    "memory_bytes",
    "checkpoint_bytes",
    "peak_disk_bytes",
    "data_bytes",
)
"""What an estimate measures; null where it cannot."""

NO_TRAINING: dict[str, Any] = {
    **dict.fromkeys(
        ("jobs", "jobs_known", "steps", "forwards", "full_runs", "reference_full_runs", "workers", *MEASURED), 0
    ),
    "notes": [],
    "held_out_splits": [],
}
"""What a search takes that trains nothing."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A recipe's spec where nothing was made ready for it, for a dry run.

    Attributes:
        spec: its `content` is empty where data are not ready.
        workload: None where it could not be built.
        stand_in: whether its batches have to be made up, since data are not ready.
        missing: why nothing can be measured, if so.
    """

    spec: TrainSpec
    workload: Workload | Program | None
    stand_in: bool = False
    missing: str = ""


def rehearse(recipe: Recipe) -> Rehearsed:
    """The spec of a recipe without making data ready that are not, unless the workload has no stand-ins for them."""
    workload = None
    try:
        workload = load(recipe)
        if isinstance(workload, StandIn) and not is_ready(workload):
            return Rehearsed(spec_of(recipe, workload, ""), workload, stand_in=True)
        content = content_digest(recipe.workload.name, workload)
    except MissingError as error:
        return Rehearsed(spec_of(recipe, workload, ""), None, missing=str(error))
    return Rehearsed(spec_of(recipe, workload, content), workload)


def is_ready(workload: StandIn) -> bool:
    with running(workload):
        return workload.ready()


@dataclass(slots=True)
class Rehearsal:
    """What a strategy asked for when every job gave a made-up loss.

    Attributes:
        rounds: how many jobs a batch had that were new, and the most steps of one of them.
        scored: whether the workload keeps batches aside for scores.
        checkpoints: the most that exist at a time.
        left: the jobs whose checkpoints exist, as `lrctl.engine.job_runner` keeps them.
        again: the jobs that are trained again, for a checkpoint that is gone.
        likely: the LR that is the best, unless a batch tells another.
        beside: the jobs that no batch of the search itself has asked for.
    """

    spec: TrainSpec
    scored: bool = True
    run: RunSpec = field(default_factory=lambda: RunSpec(1))
    jobs: dict[str, SegmentJob] = field(default_factory=dict)
    rounds: list[tuple[int, int]] = field(default_factory=list)
    checkpoints: int = 0
    left: set[str] = field(default_factory=set)
    again: list[SegmentJob] = field(default_factory=list)
    likely: float = 10**-3.5
    beside: set[str] = field(default_factory=set)

    @property
    def own(self) -> dict[str, SegmentJob]:
        """The jobs of the search itself."""
        return {key: job for key, job in self.jobs.items() if key not in self.beside}

    @property
    def measuring(self) -> int:
        """Steps of jobs that only measure frozen weights, a forward pass each."""
        return sum(job.steps for job in self.jobs.values() if job.forward_only(self.spec))

    def scores(self, jobs: Iterable[SegmentJob]) -> int:
        """Forward passes over reserved batches: of scores, and of the last weights and each average, compared."""
        if not self.scored:
            return 0
        weights = 1 + len(self.spec.averaging) if self.spec.averaging else 0
        return sum(
            job.score_batches + weights * (job.score_batches or COMPARED) * (job.steps > 0)
            for job in jobs
            if job.score_batches or job.evaluate
        )

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """Made-up results, after adding the batch up: its new jobs, and the checkpoints that exist while it runs."""
        check_goes_on(batch.jobs, self.run)
        self.likely = batch.likely or self.likely
        new = {key: job for job in batch.jobs if (key := job.key(self.spec)) not in self.jobs}
        self.jobs |= new
        keys = {job.key(self.spec) for job in batch.jobs}
        self.beside = self.beside | new.keys() if batch.beside else self.beside - keys
        kept = {job.parent for job in batch.jobs if job.parent} | batch.keep
        if new:
            self.rounds.append((len(new), max(job.steps for job in new.values())))
            self.left &= kept.union(new, *map(self.sources, kept))
            self.restore(job.parent for job in new.values())
            self.left |= {key for key, job in new.items() if job.checkpoint}
        self.checkpoints = max(self.checkpoints, len(kept) + sum(job.checkpoint for job in new.values()))
        return [self.make_up(job) for job in batch.jobs]

    def make_up(self, job: SegmentJob) -> JobResult:
        """A result by which a search neither raises nor lowers the LR for long: the likely LR has the lowest loss."""
        if isinstance(job.schedule, AdaptiveSchedule) or (job.frozen and job.stop > 0):
            loss = 0.0
        else:
            # A run to the end is known by its peak, a segment of a search by the LR it leads to.
            whole = job.evaluate or job.score_batches
            lrs = [*(job.lrs or ()), *map(job.schedule, range(job.start))] if whole else [job.schedule(job.stop)]
            lr = max(lrs, default=0.0)
            loss = 1e9 * (abs(math.log10(lr) - math.log10(self.likely)) if lr else 100.0)
        scores = (loss,) * job.score_batches * self.scored
        made_up = JobResult(job.key(self.spec), "ok", loss, job.steps, scores=scores)
        made_up = replace(made_up, extra_forwards=self.scores([job]) - len(scores))
        metrics = {split: MadeUpMetrics(loss=loss) for split in job.evaluate}
        norms = (1.0,) * job.steps if job.gradient_norms else None
        train_loss, stages = loss if job.evaluate else None, (loss,) * len(job.stages)
        return replace(made_up, metrics=metrics, gradient_norms=norms, train_loss=train_loss, stage_losses=stages)

    def sources(self, key: str | None) -> list[str]:
        """A job whose checkpoint is gone and those that it is made again from, up to one whose checkpoint exists."""
        found: list[str] = []
        while key in self.jobs and not (found and found[-1] in self.left):
            found.append(key)
            key = self.jobs[key].parent
        return found

    def restore(self, keys: Iterable[str | None]) -> None:
        """Train again what is needed for the checkpoints of these jobs."""
        for lost in {each for key in keys for each in self.sources(key)} - self.left:
            self.again.append(self.jobs[lost])
            self.left.add(lost)


class MadeUpMetrics(dict[str, float]):
    """Metrics, among them any that is asked for: always the same, since nobody knows whether more of it is better."""

    def __missing__(self, name: str) -> float:
        return 0.5


class Guess:
    """Stands for a workload whose runs have a closed form: computing them would take as long as the search."""

    def expected_losses(self, lrs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.ones(len(lrs))

    def expected_gradient(self, lrs: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        return 1.0, np.zeros(len(lrs))


def estimate(command: str, recipe: Recipe, *, store: str | Path, measure: bool = True) -> dict[str, Any]:
    """What a search whose strategy is `command` would take. Nothing is trained, and no data are fetched.

    A search that follows another path than the rehearsal can take somewhat more or fewer jobs. Jobs that are stopped
    early are counted as whole ones, and validation losses in time only. Without `measure` time, memory and disk are
    null, and it is fast.

    Returns:
        A JSON object: `command`, `workload`; `jobs`, how many of them are `jobs_known` already; `steps` of all jobs,
        `forwards`, the forward passes beside them, and how many `full_runs`, plain training runs, that is, without the
        plain run beside the search, `reference_full_runs`, which all else counts; `workers`;
        `seconds_per_step` and `seconds_per_evaluation` in one worker, `seconds` of all; `memory_bytes` of one worker
        (an estimate: weights, optimizer state, and the most of what training, a score and an evaluation take);
        `checkpoint_bytes`, `peak_disk_bytes` of the checkpoints that exist at a time; `data_bytes` that are to be made
        ready first, 0 if none or unknown; `held_out_splits` that are evaluated; `notes` on how it was measured. What
        could not be measured is null, and a note says why.
    """
    part, params = registry().get("strategy", command), recipe.params(command)
    # Opening a folder that is not a store yet would make it one.
    place = Store(store) if (Path(store) / "store.json").is_file() else None
    if recipe.start and place and (imported := place.imported(recipe.start, rehearse(recipe).spec)):
        recipe = replace(recipe, imported=imported[0])
    run_spec = recipe.run_spec
    guessed = replace(run_spec, exact=Guess()) if run_spec.exact else run_spec
    search = part.target(params, guessed)
    moved = advance(search)
    if isinstance(moved, SearchResult):
        return NO_TRAINING | {"command": command, "workload": recipe.workload.name}
    rehearsed = rehearse(recipe)
    scored = rehearsed.workload is None or isinstance(rehearsed.workload, Scored)
    rehearsal = Rehearsal(rehearsed.spec, scored, run_spec)
    found = drive(relayed(search, moved), rehearsal.run_batch)
    rehearsal.restore([found.checkpoint])
    steps = sum(job.steps for job in [*rehearsal.own.values(), *rehearsal.again]) - rehearsal.measuring
    others = [rehearsal.jobs[key] for key in rehearsal.beside]
    beside = sum(job.steps for job in others) + FORWARD * rehearsal.scores(others)
    forwards = rehearsal.measuring + rehearsal.scores(rehearsal.own.values())
    keys = [key for key, job in rehearsal.own.items() if job.steps]
    known = [key for key in keys if place.record(key) or place.stopped(key)] if place else []
    return {
        "command": command,
        "workload": recipe.workload.name,
        "jobs": len(keys),
        "jobs_known": len(known),
        "steps": steps,
        "forwards": forwards,
        "full_runs": (steps + FORWARD * forwards) / run_spec.left,
        "reference_full_runs": beside / run_spec.left,
        **costs(recipe, rehearsed, rehearsal, measure),
        "held_out_splits": list(SPLITS),
    }


def check_memory(command: str, recipe: Recipe, *, store: str | Path, kept: Executors | None = None) -> None:
    """Refuse a search whose jobs do not fit side by side on a GPU. What fits beside nothing else is not measured.

    Raises:
        UsageError: they do not fit; tells what would.
    """
    device = device_of(recipe)
    if side_by_side(recipe.executor, device) == 1:
        return
    if kept:
        kept.close()  # workers that an earlier search has left hold memory
    job_bytes = estimate(command, recipe, store=store)["memory_bytes"]
    if job_bytes and (short := shortage(recipe.executor, device, job_bytes)):
        raise UsageError(short)


def costs(recipe: Recipe, rehearsed: Rehearsed, rehearsal: Rehearsal, measure: bool) -> dict[str, Any]:
    """The part of an estimate that is measured: time, memory, disk."""
    workers = workers_of(recipe.executor, rehearsed.spec.device)
    found: dict[str, Any] = {"workers": workers, **dict.fromkeys(MEASURED), "notes": []}
    if not measure:
        return found
    if isinstance(rehearsed.workload, Program):
        return found | program_costs(rehearsed.workload, rehearsal, workers)
    try:
        if (workload := rehearsed.workload) is None:
            raise MissingError(rehearsed.missing)
        with running(workload):
            found["data_bytes"] = workload.prepared_bytes() if isinstance(workload, StandIn) else 0
        scores = rehearsal.scores(rehearsal.jobs.values())
        measured = probe(rehearsed, scored=scores > 0)
    except MissingError as error:
        return found | {"notes": [f"time, memory and disk could not be measured: {error}"]}
    if rehearsed.stand_in:
        found["notes"].append("the data are not made ready yet: steps were measured on made-up batches")
    found["notes"] += measured.notes
    if not rehearsal.scored and any(job.score_batches for job in rehearsal.jobs.values()):
        found["notes"].append(
            "the workload has no score_batch(i), so scores are validation losses, counted in time only"
        )
    if any(job.steps and "validation" in job.evaluate for job in rehearsal.own.values()):
        found["notes"].append("validation losses are counted in time only, and not in full runs")
    evaluation = measured.seconds_per_evaluation
    if evaluation is None:
        found["notes"].append("the time and memory of evaluations are not counted")
    if short := shortage(recipe.executor, rehearsed.spec.device, measured.memory_bytes):
        found["notes"].append(short)

    def seconds(workers: int) -> float:
        updates: float = sum(math.ceil(n / workers) * length for n, length in rehearsal.rounds)
        updates += sum(job.steps for job in rehearsal.again) + scores * FORWARD / workers
        evaluations = sum(bool(job.evaluate) for job in rehearsal.jobs.values()) / workers + 1
        return updates * measured.seconds_per_step + evaluations * (evaluation or 0.0)

    workers = workers_of(recipe.executor, rehearsed.spec.device, lambda: seconds(1))
    return found | {
        "workers": workers,
        "seconds_per_step": measured.seconds_per_step,
        "seconds_per_evaluation": evaluation,
        "seconds": seconds(workers),
        "memory_bytes": measured.memory_bytes,
        "checkpoint_bytes": measured.checkpoint_bytes,
        "peak_disk_bytes": max(rehearsal.checkpoints, len(rehearsal.again)) * measured.checkpoint_bytes,
    }


def program_costs(program: Program, rehearsal: Rehearsal, workers: int) -> dict[str, Any]:
    """The same where each job starts a program."""
    from lrctl.planning.program_profile import measure_program

    cost = measure_program(program, rehearsal.spec)
    # What begins nothing and measures nothing needs no start; the end of the run that is handed over does.
    starts = 1 + len(rehearsal.again) + sum(bool(job.steps or job.evaluate) for job in rehearsal.jobs.values())
    steps = sum(math.ceil(n / workers) * length for n, length in rehearsal.rounds)
    steps += sum(job.steps for job in rehearsal.again)
    return {
        "data_bytes": 0,
        "seconds_per_step": cost.seconds_per_step,
        "seconds": math.ceil(starts / workers) * cost.seconds_per_start + steps * cost.seconds_per_step,
        "memory_bytes": cost.memory_bytes,
        "checkpoint_bytes": cost.checkpoint_bytes,
        "peak_disk_bytes": max(rehearsal.checkpoints, len(rehearsal.again)) * cost.checkpoint_bytes,
        "notes": [
            f"the program is started {starts} times, each about {cost.seconds_per_start:.2g} s beside its steps",
            "the time of evaluations is not counted",
            "memory is that of its largest process with all that it holds, or of lrctl's own where that takes more",
        ],
    }


def probe(rehearsed: Rehearsed, *, scored: bool) -> Measured:
    """What training takes in one worker, measured on a throw-away model."""
    from lrctl.planning.profile import measure
    from lrctl.training.quiet import quiet_torch

    spec, workload = rehearsed.spec, rehearsed.workload
    assert isinstance(workload, Workload)
    try:
        with (
            running(workload),
            quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=spec.deterministic),
        ):
            return measure(workload, spec, stand_in=rehearsed.stand_in, scored=scored, splits=SPLITS)
    except LrctlError:
        raise
    except Exception as error:
        where = origin(error, spec.workload)
        raise UsageError(
            f"workload {spec.workload}: training a few steps raised {type(error).__name__}: {error}{where}; "
            "mend it and try again, --debug shows more"
        ) from error
