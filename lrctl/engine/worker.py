"""Do one job: what every executor runs, in this process or another."""

from __future__ import annotations

import gc
import math
import platform
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.result import Failure, JobRecord
from lrctl.contracts.workload import Workload
from lrctl.errors import LrctlError, ReproducibilityError, StoreError
from lrctl.recipe import workloads as loading
from lrctl.recipe.project import running
from lrctl.recipe.task_workload import check_content, workload_of
from lrctl.storage.runs import there
from lrctl.storage.store import Store
from lrctl.training.quiet import LOST, alone, quiet_torch

if TYPE_CHECKING:
    import numpy as np

    from lrctl.training.trainer import Trained
    from lrctl.training.trains import Trains


def attempt(store: str | Path, spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """The result of a job; an exception becomes a result with status `failed`.

    One job a process: torch's random numbers, threads and modes belong to the process, so that two jobs in it at once
    would change each other's numbers.
    """
    try:
        with alone():
            return work(opened(store, begun=bool(spec.run)), spec, job)
    except Exception as error:
        where = "" if isinstance(error, LrctlError) else loading.origin(error, spec.workload)
        failure = Failure(kind_of(error), f"{error}{where}", traceback.format_exc())
    if failure.broken:
        LOST.set()
    if failure.out_of_memory:
        with suppress(RuntimeError):  # where CUDA can do no more, as the next job will tell
            give_back_memory()  # not before the exception is gone: its traceback holds the model
    return JobRecord(job.key(spec), "failed", failure=failure, run=spec.run)


def give_back_memory() -> None:
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def kind_of(error: Exception) -> str:
    """The name of an error's class; of a plugin's own kind of one of lrctl's errors, that of lrctl's."""
    kinds = (each for each in type(error).__mro__ if each.__module__ == LrctlError.__module__)
    return next(kinds, type(error)).__name__


@lru_cache(maxsize=1)
def opened(place: str | Path, *, begun: bool) -> Store:
    """A store, opened once in each process. That of a search that has begun is there, on every machine.

    Raises:
        StoreError: it is not.
    """
    if begun and not there(place):
        raise StoreError(
            f"--store {place}: it is not in reach on {platform.node()}, which was given a job; give a folder that all "
            "machines share, or the URL of a storage that all reach"
        )
    return Store(place)


def work(store: Store, spec: TrainSpec, job: SegmentJob) -> JobRecord:
    """Train a job from its parent's checkpoint; write its losses, its checkpoint and, last, its result.

    A job that another process has done meanwhile is not trained again. Of one that was stopped, only that is written.
    """
    key, own_seed, spec = job.key(spec), job.seed in (None, spec.seed), spec.of(job)
    known = None if job.anew else store.record(key)
    if known is not None and (not leaves_checkpoint(job, known.mean_loss) or store.has_checkpoint(key)):
        return known
    if known is not None:
        known = remaking(known, job, spec)
        store.put_record(known)
    train = trains(store, spec, checked=own_seed)
    trained = train(spec, job, store.load_checkpoint(job.parent) if job.parent else None)
    result, before = summarise(spec, job, trained), store.stopped(key)
    if before and before.run == spec.run:
        result = replace(result, discarded=before.steps + before.discarded)
    if trained.at_least is None:
        first = None if job.anew else check_same(store, key, trained, spec)
        if first:  # choices rest on what it gave, which need not be what it gives again to the bit
            result, digests = replace(first, remaking=""), {"losses": first.digests["losses"]}
        else:
            digests = {"losses": store.put_losses(key, trained.losses, trained.lrs)}
        if leaves_checkpoint(job, result.mean_loss):
            digests["checkpoint"] = store.put_checkpoint(key, trained.state)
        result = replace(result, digests=digests)
    store.put_record(result)
    return result


def trains(store: Store, spec: TrainSpec, *, checked: bool) -> Trains:
    """What does the jobs of a task; `checked` as in `workload_of`."""
    from lrctl.program import runner

    workload = workload_of(spec, checked=checked)
    if not isinstance(workload, Program):
        return partial(train_here, store, workload)
    # At each job, since each reads the program's files anew.
    check_content(spec.workload, spec.content, workload, checked=checked)
    return partial(runner.train, workload, store)


def train_here(
    store: Store, workload: Workload, spec: TrainSpec, job: SegmentJob, start_from: dict[str, Any] | None = None
) -> Trained:
    """Train with lrctl's own loop, in this process."""
    from lrctl.checks.purity import check_purity
    from lrctl.training.trainer import train

    with running(workload), quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=spec.deterministic):
        if job.first_look and loading.is_code(spec.workload):
            check_purity(workload, spec)
        given_up = partial(store.runs.given_up, spec.run, job.key(spec)) if job.ahead else None
        return train(workload, spec, job, start_from, given_up)


def remaking(known: JobRecord, job: SegmentJob, spec: TrainSpec) -> JobRecord:
    """The record of a job while it is made again: its steps count once, however often this is interrupted."""
    if known.remaking and known.remaking == spec.run:
        return known
    remade = {**known.remade, spec.run: known.remade.get(spec.run, 0) + job.steps}
    return replace(known, remade=remade, remaking=spec.run)


def leaves_checkpoint(job: SegmentJob, mean_loss: float) -> bool:
    """Whether a job with this mean loss writes a checkpoint: one that cannot be chosen does not."""
    return job.checkpoint and not job.cannot_be_chosen(mean_loss)


def check_same(store: Store, key: str, trained: Trained, spec: TrainSpec) -> JobRecord | None:
    """The result of a job done before, which must have given the same losses; None if it was not.

    Without deterministic kernels their mean must be the same to 1 %: those of single steps drift apart.
    """
    first = store.record(key)
    if first is None:
        return None
    try:
        stored = store.losses(key)["loss"]
    except StoreError:  # `lrctl gc` took them at this moment
        return None
    near = not spec.exact and math.isclose(mean(stored), mean(trained.losses), rel_tol=0.01)
    if not near and stored.tobytes() != trained.losses.tobytes():
        step = next((i for i, pair in enumerate(zip(stored, trained.losses, strict=False)) if pair[0] != pair[1]), 0)
        raise ReproducibilityError(
            f"job {key[:12]} of workload {spec.workload} gave another loss at its step {step} than the one stored "
            f"({trained.losses[step]} instead of {stored[step]}): torch, the CPU or the workload changed; "
            "give --fresh to start over, or choose another --store"
        )
    return first


def summarise(spec: TrainSpec, job: SegmentJob, trained: Trained) -> JobRecord:
    """The result of a job from what training it gave; of one that was stopped that is a bound of its mean loss."""
    import numpy as np

    record = JobRecord(
        key=job.key(spec),
        status="ok" if trained.at_least is None else "stopped",
        steps=len(trained.losses),
        seconds=trained.seconds,
        parent=job.parent,
        scores=trained.scores,
        metrics=trained.metrics,
        evaluated=trained.evaluated,
        weights=trained.weights,
        run=spec.run,
        gradient_norms=trained.gradient_norms,
        extra_forwards=trained.extra_forwards,
        at_least=trained.at_least,
        lr_scales=trained.lr_scales,
    )
    if record.status == "stopped":
        return record
    losses = trained.losses.astype(np.float64)
    good, tail = losses[np.isfinite(losses)], losses[-max(1, len(losses) // 10) :]
    return replace(
        record,
        mean_loss=mean(good),
        non_finite=len(losses) - len(good),
        tail_loss=mean(tail),
        deviation=float(good.std()) if len(good) else 0.0,
    )


def mean(losses: np.ndarray[Any, Any]) -> float:
    """The mean of some losses; +inf if there is none, or one of them is not finite."""
    found = float(losses.mean()) if len(losses) else math.inf
    return found if math.isfinite(found) else math.inf
