"""Exact stopping: a job that cannot be chosen any more is not trained to its end. The choice stays what it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.registry.observers import notify

CHECKS = 20
"""How often at most a job is looked at: each time, an accelerator has to be waited for."""

ASK_EVERY = 0.1
"""Seconds between two looks at whether a job is to be given up."""


@dataclass(frozen=True, slots=True, eq=False)
class Limited(Sequence[SegmentJob]):
    """Jobs as an executor is given them: each is told what it may lose at the moment it is taken.

    Jobs with frozen weights are no candidates, and measure what the others are compared with: they have no limit.
    Where a budget is reached, as `reached` tells, there are no more: an executor finishes those that it has taken.
    """

    jobs: Sequence[SegmentJob]
    limit: Callable[[], float | None]
    reached: Callable[[], str] = str

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: Any, /) -> Any:
        if isinstance(index, slice):
            return Limited(self.jobs[index], self.limit, self.reached)
        job = self.jobs[index]
        if job.steps and self.reached():
            raise IndexError(index)
        notify("job_started", job=job)
        return job if job.frozen else replace(job, stop_above=self.limit())


@dataclass(slots=True)
class Asking:
    """Whether a job is to be given up: asked at each step, and answered anew now and then, since the answer is a file.

    Attributes:
        answer: asks the store; None where nobody gives the job up.
    """

    answer: Callable[[], bool] | None = None
    asked: float = field(default_factory=time.monotonic)

    def __call__(self) -> bool:
        if self.answer is None or time.monotonic() - self.asked < ASK_EVERY:
            return False
        self.asked = time.monotonic()
        return self.answer()


@dataclass(slots=True)
class PartialMean:
    """A lower bound of a job's mean loss, from its losses so far; the bound holds since no loss is negative.

    Attributes:
        seen: how many losses were looked at.
        total: the sum of those that are finite: non-finite ones do not count in the mean either.
        negative: whether one of them was negative, so that nothing is known.
    """

    job: SegmentJob
    seen: int = 0
    total: float = 0.0
    negative: bool = False

    def due(self, done: int) -> bool:
        """Whether the losses should be looked at after so many steps; at the end there is nothing to save."""
        steps = self.job.steps
        return self.job.stop_above is not None and done < steps and done % math.ceil(steps / CHECKS) == 0

    def add(self, losses: Iterable[float]) -> None:
        for loss in losses:
            self.seen += 1
            if math.isfinite(loss):
                self.total += loss
                self.negative |= loss < 0

    @property
    def at_least(self) -> float:
        return -math.inf if self.negative else self.total / self.job.steps

    @property
    def exceeded(self) -> bool:
        return self.job.cannot_be_chosen(self.at_least)
