"""Searches for the best shape on scripted landscapes: a run's loss is a function of its shape, base LR and seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, drive
from lrctl.testing import Scripted, run_spec
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.search import shape

STEPS = 40
GRID = (1e-3, 1e-2, 1e-1)
Landscape = Callable[[Any, int], float]
"""The loss of a run with this schedule and seed."""

SMALL: dict[str, Any] = {
    "family": ("rex",),
    "against": (),
    "shapes": 4,
    "grid": GRID,
    "top": 2,
    "fresh_seeds": 3,
    "sweep": 0,
}
"""One family of four shapes: 36 runs with the seeds 0, 1, 2, and 6 with the seeds 3, 4, 5."""


def searched(loss: Landscape, run: RunSpec | None = None, **params: Any) -> tuple[Any, list[Batch]]:
    """A search in which `loss` scripts each run: what it found, and the batches that it asked for."""
    run = run or run_spec(STEPS)
    script = Scripted(lambda job: loss(job.schedule, seed_of(job, run)))
    return drive(shape(ShapeSearch(**SMALL | params), run), script.run_batch), script.batches


def with_adamw(**fields: Any) -> RunSpec:
    """A run whose optimizer is AdamW at its defaults."""
    return replace(run_spec(STEPS), optimizer="adamw", **fields)


def seed_of(job: SegmentJob, run: RunSpec) -> int:
    """The seed that a job is trained with."""
    return run.seed if job.seed is None else job.seed


def bowl(**best: float) -> Landscape:
    """The loss is lowest at a base LR of 1e-2 and at these values of other parameters; every seed is alike."""

    def loss(schedule: Any, _seed: int) -> float:
        return 1 + off_lr(schedule) + math.fsum(abs(getattr(schedule, name) - value) for name, value in best.items())

    return loss


def off_lr(schedule: Any, base_lr: float = 1e-2) -> float:
    """How far a base LR is from the best one, in powers of ten."""
    return abs(math.log10(float(schedule.peak_lr) / base_lr))


def summary(found: SearchResult) -> dict[str, Any]:
    """What the result document has beside the engine's own values."""
    return dict(found.summary)


def setting(found: SearchResult, at: int = 0) -> dict[str, Any]:
    """What was measured in one setting."""
    document: dict[str, Any] = summary(found)["settings"][at]
    return document


def jobs(batches: list[Batch]) -> list[Any]:
    """All jobs of a search, in order."""
    return [job for batch in batches for job in batch.jobs]


def at_one(schedule: Any) -> Any:
    """A schedule's shape: itself with a base LR of 1."""
    return replace(schedule, peak_lr=1.0)
