"""What a search would take, without training: its strategy is rehearsed on made-up results."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lrctl.errors import UsageError
from lrctl.executor import slots
from lrctl.job import SegmentJob, SegmentResult, Task
from lrctl.loading import origin
from lrctl.plugins import registry
from lrctl.prepare import prepare
from lrctl.recipe import Recipe
from lrctl.run import begun
from lrctl.schedule import AdaptiveSchedule, PiecewiseLinear
from lrctl.session import SPLITS
from lrctl.store import Store
from lrctl.strategy import Batch, Found, drive

NO_TRAINING = {
    **dict.fromkeys(("jobs", "jobs_known", "steps", "workers", "checkpoint_bytes", "peak_disk_bytes"), 0),
    **dict.fromkeys(("baseline_runs", "seconds_per_step", "seconds"), 0.0),
    "held_out_splits": [],
}
"""What a search takes that trains nothing."""

PROBE = 20
"""Steps, at LR 0, that a step's time is measured over."""


@dataclass(slots=True)
class Rehearsal:
    """What a strategy asked for when every job gave a made-up loss."""

    task: Task
    jobs: dict[str, SegmentJob] = field(default_factory=dict)
    rounds: list[tuple[int, int]] = field(default_factory=list)
    checkpoints: int = 0

    def answer(self, batch: Batch) -> list[SegmentResult]:
        """Made-up results, after adding the batch up: its new jobs, and the checkpoints that exist while it runs."""
        new = {key: job for job in batch.jobs if (key := job.key(self.task)) not in self.jobs}
        self.jobs |= new
        if new:
            self.rounds.append((len(new), max(job.stop - job.start for job in new.values())))
        kept = {job.parent for job in batch.jobs if job.parent} | batch.keep
        self.checkpoints = max(self.checkpoints, len(kept) + sum(job.checkpoint for job in new.values()))
        return [self.make_up(job) for job in batch.jobs]

    def make_up(self, job: SegmentJob) -> SegmentResult:
        """A result by which a search neither raises nor lowers the LR for long: the best LR is about 3e-4."""
        if isinstance(job.schedule, AdaptiveSchedule) or job.frozen:
            loss = 0.0
        else:
            # A run to the end is known by its peak, a segment of a search by the LR it leads to.
            lr = max(map(job.schedule, range(job.stop))) if job.evaluate else job.schedule(job.stop)
            loss = 1e9 * (abs(math.log10(lr) + 3.5) if lr else 100.0)
        metrics = {split: {"loss": loss} for split in job.evaluate}
        made_up = SegmentResult(job.key(self.task), "ok", loss, 0, loss, job.stop - job.start)
        norms = (1.0,) * made_up.steps if job.gradient_norms else None
        train_loss = loss if job.evaluate else None
        stages = (loss,) * len(job.stages)
        return replace(
            made_up, score=loss, metrics=metrics, gradient_norms=norms, train_loss=train_loss, stage_losses=stages
        )

    def again(self, key: str | None) -> list[SegmentJob]:
        """The jobs that are trained again for the checkpoint that is handed over, where its job left none."""
        jobs: list[SegmentJob] = []
        while key is not None and (jobs or not self.jobs[key].checkpoint):
            jobs.append(self.jobs[key])
            key = self.jobs[key].parent
        return jobs


def estimate(command: str, recipe: Recipe, *, store: str | Path) -> dict[str, Any]:
    """Jobs, steps, peak disk and time of a search whose strategy is `command`. Nothing is written to the store.

    A search that follows another path than the rehearsal can take somewhat more or fewer jobs.

    Raises:
        UsageError: the recipe, workload or device cannot be used.
    """
    part, params = registry().get("strategy", command), recipe.params(command)
    moved = begun(part.target(params, recipe.problem))
    if isinstance(moved, Found):
        return NO_TRAINING | {"command": command, "workload": recipe.workload.name}
    task = prepare(recipe)
    rehearsal = Rehearsal(task)
    found = drive(moved, rehearsal.answer)
    again = rehearsal.again(found.checkpoint)
    steps = sum(job.stop - job.start for job in [*rehearsal.jobs.values(), *again])
    seconds_per_step, seconds_per_evaluation, size = probe(task)
    workers = recipe.executor.params.get("workers") or (1 if recipe.executor.name == "serial" else slots(task.device))
    rounds = sum(math.ceil(n / workers) * length for n, length in rehearsal.rounds)
    rounds += sum(job.stop - job.start for job in again)
    evaluations = sum(bool(job.evaluate) for job in rehearsal.jobs.values()) / workers + 1
    # Opening a folder that is not a store yet would make it one.
    known = Store(store).result if (Path(store) / "store.json").is_file() else (lambda _: None)
    return {
        "command": command,
        "workload": recipe.workload.name,
        "jobs": sum(job.stop > job.start for job in rehearsal.jobs.values()),
        "jobs_known": sum(known(key) is not None for key, job in rehearsal.jobs.items() if job.stop > job.start),
        "steps": steps,
        "baseline_runs": steps / recipe.training.steps,
        "workers": workers,
        "seconds_per_step": seconds_per_step,
        "seconds": rounds * seconds_per_step + evaluations * seconds_per_evaluation,
        "checkpoint_bytes": size,
        "peak_disk_bytes": max(rehearsal.checkpoints, len(again)) * size,
        "held_out_splits": list(SPLITS),
    }


def probe(task: Task) -> tuple[float, float, int]:
    """Seconds per step and per evaluation in one worker, and a checkpoint's bytes, measured on a throw-away model."""
    import torch

    from lrctl.trainer import train
    from lrctl.worker import quiet_torch, workload_of

    workload = workload_of(task)
    still = PiecewiseLinear(((0, 0.0),))
    try:
        with quiet_torch(task.threads, task.device):
            train(workload, task, SegmentJob(0, 3, still))
            trained = train(workload, task, SegmentJob(0, PROBE, still))
            began = time.perf_counter()
            train(workload, task, SegmentJob(0, 0, still, evaluate=SPLITS))
            evaluation = time.perf_counter() - began
    except Exception as error:
        where = origin(error, task.workload)
        raise UsageError(
            f"workload {task.workload}: training a few steps raised {type(error).__name__}: {error}{where}; "
            "mend it and try again, --debug shows more"
        ) from error
    return trained.seconds / PROBE, evaluation, sum(t.nbytes for t in tensors_in(trained.state, torch.Tensor))


def tensors_in(value: Any, kind: Any) -> list[Any]:
    """All tensors in nested dicts, lists and tuples."""
    if isinstance(value, kind):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for item in items for tensor in tensors_in(item, kind)]
