"""Parameters of the transfer from short runs to a long one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_strategies.grids import check_grid, check_least

RUNGS = ((8, 3), (4, 2), (2, 2))
"""The rungs: which part of the run each is long, and how many LRs are planned on it."""


@dataclass(frozen=True, slots=True)
class Transfer:
    budget: Annotated[
        float,
        "full runs that the planned rungs take, without scores and LRs further out: 0.5 is runs of an eighth, 0.9 of a "
        "quarter too, 1.9 of a half too",
    ] = 0.9
    family: Annotated[
        str,
        "schedule of the long run, of any family that can be tuned: NAME or NAME:setting=value,...; wsd alone winds "
        "down over half of the run",
    ] = "wsd"
    train: Annotated[bool, "train the long run too"] = False
    grid: Annotated[
        tuple[float, ...], "LRs of the first rung; it goes on in steps of 2.25 while the best is outermost, up to 8"
    ] = (1.5e-3, 3.4e-3, 7.6e-3)
    warmup: Annotated[
        int | None,
        "steps of warmup, of rungs and run alike; by default 2 % of the run, a sixth of the shortest rung at the most",
    ] = None
    score_on: Annotated[
        Literal["training", "validation"],
        "what a rung is scored by: training batches that are kept aside for it (validation loss where the workload "
        "keeps none), or validation loss",
    ] = "training"
    score_batches: Annotated[
        int,
        "how many batches of training data a score is the mean loss of; fewer where these cost more than 5 % of the "
        "shortest rung",
    ] = 64
    max_lr: Annotated[float | None, "no LR above this is tried or given"] = None

    def __post_init__(self) -> None:
        if not self.budget >= planned(1):
            raise ValueError(f"budget: must be at least {planned(1):g}, runs of an eighth, got {self.budget}")
        check_least(self, score_batches=1)
        check_grid(self.grid, max_lr=self.max_lr)
        if self.warmup is not None and self.warmup < 0:
            raise ValueError(f"warmup: must be at least 0, got {self.warmup}")

    @property
    def parts(self) -> tuple[int, ...]:
        """Which part of the run each rung within the budget is long, the shortest first."""
        return tuple(part for n, (part, _) in enumerate(RUNGS, 1) if planned(n) <= self.budget)


def planned(rungs: int) -> float:
    """The full runs that so many rungs take, as planned."""
    return sum(lrs / part for part, lrs in RUNGS[:rungs])
