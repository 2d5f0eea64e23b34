"""A made-up world for contests: the loss of each optimizer by its LR and the length of the run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, drive
from lrctl.errors import UsageError
from lrctl.testing import SPEC, run_spec
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.search import contest

STEPS = 200
SHORT = 16
UNTRAINED = 6.0
BEST = {"yours": 3e-3, "adamw": 2e-3, "muon": 6e-3, "schedule-free": 6e-3, "adafactor": 0.1, "sgd": 0.1}
DUEL: dict[str, Any] = {"contender": ("muon",)}


def optimizer_of(job: SegmentJob) -> str:
    return job.optimizer.name if job.optimizer else "yours"


def peak(job: SegmentJob) -> float:
    return float(job.schedule.peak_lr)  # type: ignore[union-attr]


@dataclass
class World:
    """Stands for training: what runs with each optimizer come to.

    Attributes:
        whole: the lowest loss of whole runs; +inf diverges.
        short: that of short runs.
        test: tells the test loss where it is not the loss.
        by_seed: added to all losses of an optimizer and a seed.
        seconds: that a step takes.
        curvature: what a wrong LR costs.
        reserve: how many batches are kept aside for scores.
        evaluated: forward passes that a validation loss takes.
        unfit: optimizers that cannot be made.
        rough: tells all losses, if given.
    """

    whole: dict[str, float]
    short: dict[str, float] = field(default_factory=dict)
    test: Callable[[SegmentJob], float] | None = None
    by_seed: dict[tuple[str, int], float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=lambda: dict(BEST))
    seconds: dict[str, float] = field(default_factory=dict)
    curvature: float = 0.02
    reserve: int = 1000
    evaluated: int = 30
    unfit: tuple[str, ...] = ()
    rough: Callable[[SegmentJob], float] | None = None
    batches: list[Batch] = field(default_factory=list)

    def loss(self, job: SegmentJob) -> float:
        if self.rough is not None:
            return self.rough(job)
        if not job.stop:
            return UNTRAINED
        name = optimizer_of(job)
        floors = self.whole if job.stop == STEPS else {n: loss + 1 for n, loss in self.whole.items()} | self.short
        far = math.log(peak(job) / self.best[name])
        return floors[name] + self.curvature * far**2 + self.by_seed.get((name, job.seed or 0), 0.0)

    def result(self, job: SegmentJob) -> JobResult:
        loss, name = self.loss(job), optimizer_of(job)
        metrics = {"validation": {"loss": loss}, "test": {"loss": self.test(job) if self.test else loss}}
        return JobResult(
            job.key(SPEC),
            "ok" if math.isfinite(loss) else "diverged",
            loss,
            job.steps,
            scores=(loss,) * min(job.score_batches, self.reserve),
            metrics={split: metrics[split] for split in job.evaluate},
            train_loss=loss if job.evaluate else None,
            evaluated=self.evaluated,
            seconds=self.seconds.get(name, 0.0) * job.steps,
        )

    def run_batch(self, batch: Batch) -> list[JobResult]:
        self.batches.append(batch)
        for job in batch.jobs:
            if optimizer_of(job) in self.unfit:
                raise UsageError(f"{optimizer_of(job)} does not fit")
        return [self.result(job) for job in batch.jobs]

    def play(self, *, run: RunSpec | None = None, **params: Any) -> SearchResult:
        self.batches = []
        return drive(contest(Contest(**params), run or run_spec(STEPS)), self.run_batch)

    @property
    def jobs(self) -> list[SegmentJob]:
        return [job for batch in self.batches for job in batch.jobs]

    @property
    def whole_runs(self) -> list[SegmentJob]:
        return [job for job in self.jobs if job.steps == STEPS]

    @property
    def full_runs(self) -> float:
        """The cost of what was trained and scored, as a session counts it."""
        steps = sum(job.steps for job in self.jobs)
        scored = sum(min(job.score_batches, self.reserve) for job in self.jobs)
        scored += sum(self.evaluated for job in self.jobs if job.evaluate == ("validation",))
        return (steps + FORWARD * scored) / STEPS


QUICKSTART = {"yours": 3.71, "adamw": 3.61, "muon": 3.62, "schedule-free": 3.69, "adafactor": 3.66}


def entries(found: SearchResult) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in found.summary["contenders"]}


def noted(found: SearchResult, word: str) -> str:
    return next((note for note in found.notes if word in note), "")


def rough(seed: int) -> Callable[[SegmentJob], float]:
    """Losses without any structure."""

    def loss(job: SegmentJob) -> float:
        word = hashlib.sha256(f"{seed} {job.key(SPEC)}".encode()).digest()
        return math.inf if word[0] < 20 else 2.0 + word[1] / 64

    return loss
