"""How long a search takes, told from a few steps of its first job."""

from __future__ import annotations

import time
from dataclasses import replace

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.program import Program
from lrctl.contracts.strategy import Batch
from lrctl.recipe.project import running
from lrctl.recipe.task_workload import workload_of
from lrctl.training.quiet import quiet_torch

STEPS, ENOUGH = 4, 0.5
"""A job is timed for so many steps, or until it took so many seconds."""


def seconds_alone(spec: TrainSpec, batch: Batch, steps: int) -> float:
    """About how many seconds a search takes in one process, by its first batch and the `steps` of a whole run.

    A search goes on as it begins: what it trains over the first part of a run, it trains over every other.
    """
    jobs = [job for job in batch.jobs if job.steps]
    if not jobs:
        return 0.0
    part = max(job.stop for job in jobs) - min(job.start for job in jobs)
    return seconds_per_step(spec, jobs[0]) * sum(job.steps for job in jobs) * steps / part


def seconds_per_step(spec: TrainSpec, job: SegmentJob) -> float:
    """Seconds of a step of a job, from initialisation; 0 where it fails: its result will say why.

    A model is not compiled for it: that takes longer than many a search.
    """
    from lrctl.training.trainer import Training

    taken: list[float] = []
    try:
        workload = workload_of(spec)
        if isinstance(workload, Program):
            return 0.0
        with (
            running(workload),
            quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=spec.deterministic),
        ):
            training = Training(workload, replace(spec, compile=False), job)
            for step in range(job.start, min(job.stop, job.start + STEPS)):
                began = time.perf_counter()
                training.update(step)
                taken.append(time.perf_counter() - began)
                if sum(taken) > ENOUGH:
                    break
    except Exception:
        return 0.0
    return min(taken)
