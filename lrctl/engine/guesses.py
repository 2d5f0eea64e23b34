"""Made-up results of jobs that are not done: what they would be if they were like others of their kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult

APART = 0.003
"""A guess differs from a result that is known by up to this share of it."""


@dataclass(slots=True)
class Guesses:
    """Guesses results by those that are known.

    Attributes:
        kinds: the results that are known, by what jobs must share to be compared, and by their keys.
    """

    kinds: dict[Any, dict[str, JobResult]] = field(default_factory=dict)

    def note(self, job: SegmentJob, result: JobResult) -> None:
        """Take in a result that is known."""
        self.kinds.setdefault(kind(job), {})[result.key] = result

    def guess(self, job: SegmentJob, key: str, random: Random) -> JobResult:
        """A result that falls in any place among those that are known of its kind, each as likely as the other."""
        known = sorted(self.kinds.get(kind(job), {}).values(), key=value) or [unlike_any(job)]
        place = random.randrange(len(known) + 1)
        by = APART * random.random()
        return scaled(known[max(0, place - 1)], key, job, 1 + by if place else 1 - by)


def kind(job: SegmentJob) -> Any:
    """What jobs have in common whose results are compared; where nothing is measured at the end, all their steps."""
    asked = (job.score_batches, job.evaluate, job.stages)
    return job.stop, asked, job.seed, job.optimizer, None if any(asked) else job.start


def value(result: JobResult) -> float:
    """What a result is likely to be judged by."""
    loss = result.metrics.get("validation", {}).get("loss", result.train_loss)
    known = next((each for each in (result.score, loss) if each is not None), result.mean_loss)
    return math.inf if math.isnan(known) else known


def unlike_any(job: SegmentJob) -> JobResult:
    """A result where none of its kind is known."""
    metrics = {split: {"loss": 1.0} for split in job.evaluate}
    scores, stages = (1.0,) * job.score_batches, (1.0,) * len(job.stages)
    return JobResult("", "ok", 1.0, job.steps, scores, metrics, train_loss=1.0, stage_losses=stages)


def scaled(result: JobResult, key: str, job: SegmentJob, by: float) -> JobResult:
    """A result as that of another job, with all its losses larger or smaller by one factor."""

    def times(losses: Mapping[str, float]) -> dict[str, float]:
        return {name: loss * by for name, loss in losses.items()}

    return replace(
        result,
        key=key,
        mean_loss=result.mean_loss * by,
        steps=job.steps,
        scores=tuple(loss * by for loss in result.scores),
        metrics={split: times(losses) for split, losses in result.metrics.items()},
        train_loss=None if result.train_loss is None else result.train_loss * by,
        stage_losses=tuple(loss * by for loss in result.stage_losses),
    )
