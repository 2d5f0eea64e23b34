"""What a model at the end of a run is worth, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import stdev

from lrctl.contracts.job import FORWARD, SegmentJob
from lrctl.contracts.result import JobResult

SURE = 2.0
"""Two scores are told apart by a difference of so many standard errors."""

LEAST = 8
"""With fewer batches in reserve than this, validation loss is the better score."""

SHARE = 0.05
"""The most of a run that a score may cost, unless that would be less than `LEAST` batches."""


@dataclass(frozen=True, slots=True)
class Score:
    """A mean loss, and the losses of the batches that it is the mean of; none where it is a validation loss."""

    mean: float
    losses: tuple[float, ...] = ()


NOTHING = Score(math.inf)


@dataclass(slots=True)
class Scoring:
    """How runs are scored: by so many batches of training data kept aside, or, with 0, by validation loss.

    Attributes:
        repeats: validation losses of runs that are all but the same, which tell the noise of such a loss.
        forwards: the forward passes that a score takes.
    """

    batches: int
    repeats: tuple[float, ...] = ()
    forwards: int = 0

    def ask(self, job: SegmentJob) -> SegmentJob:
        if self.batches:
            return replace(job, score_batches=self.batches)
        return replace(job, evaluate=("validation",))

    def read(self, result: JobResult) -> Score:
        """The score of a job; +inf if it is not finite, or if there is none."""
        if self.batches:
            mean = math.inf if result.score is None else result.score
            found, self.forwards = Score(mean, result.scores), len(result.scores)
        else:
            found, self.forwards = Score(result.metrics["validation"]["loss"]), result.evaluated
        return found if math.isfinite(found.mean) else NOTHING

    @property
    def by(self) -> str:
        """What runs are judged by, in words."""
        return "training batches kept aside" if self.batches else "validation loss"

    @property
    def steps(self) -> float:
        """Steps that a score counts as."""
        return FORWARD * self.forwards

    def noise(self, a: Score, b: Score) -> float:
        """What the difference of two scores must exceed for one of them to be better.

        Twice its standard error: of the mean difference over the batches that both were scored on, or of two validation
        losses.
        """
        if not math.isfinite(a.mean + b.mean):
            return 0.0
        if self.batches:
            differences = [x - y for x, y in zip(a.losses, b.losses, strict=True)]
            return SURE * stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
        return SURE * math.sqrt(2) * stdev(self.repeats) if len(self.repeats) > 1 else 0.0

    def worse(self, a: Score, b: Score) -> bool:
        """Whether score a is worse than b by more than the noise."""
        return a.mean - b.mean > self.noise(a, b)


def batches(wanted: int, steps: int) -> int:
    """How many batches runs of so many steps are scored on."""
    return min(wanted, max(LEAST, round(SHARE * steps / FORWARD)))
