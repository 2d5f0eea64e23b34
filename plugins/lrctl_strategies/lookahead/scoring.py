"""What a model at the end of a run is worth, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import stdev

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, Work
from lrctl_strategies.objective import Objective

VALIDATION_LOSS = Objective("loss")

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
    """How runs are scored: by so many batches of training data kept aside, or, with 0, on validation data.

    Attributes:
        objective: what of the validation data is looked at; of a score less is better, whatever it is of.
        repeats: validation losses of runs that are all but the same, which tell the noise of such a loss.
        forwards: the forward passes that a score takes.
    """

    batches: int
    objective: Objective = VALIDATION_LOSS
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
            found, forwards = Score(mean, result.scores), len(result.scores)
        else:
            found, forwards = Score(self.objective.value(result.metrics)), result.evaluated
        self.forwards = forwards + result.extra_forwards  # those that chose between averages of the weights
        return found if math.isfinite(found.mean) else NOTHING

    @property
    def by(self) -> str:
        """What runs are judged by, in words."""
        return "training batches kept aside" if self.batches else f"validation {self.objective.metric}"

    @property
    def steps(self) -> float:
        """Steps that a score counts as."""
        return FORWARD * self.forwards

    def told(self, score: float) -> float:
        """A score as the loss or metric that it is."""
        return self.objective.turned(score)

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

    def alike(self, scores: Mapping[float, Score]) -> tuple[float, float]:
        """The lowest and the highest of the LRs around the best that no noise tells from it."""
        lrs = sorted(scores)
        low = high = at = lrs.index(min(lrs, key=lambda lr: scores[lr].mean))
        best = scores[lrs[at]]
        while low > 0 and not self.worse(scores[lrs[low - 1]], best):
            low -= 1
        while high < len(lrs) - 1 and not self.worse(scores[lrs[high + 1]], best):
            high += 1
        return lrs[low], lrs[high]


def look(scoring: Scoring, run: RunSpec) -> Work[Score]:
    """Score the model before it is trained; by validation loss where it turns out that there is nothing in reserve."""
    untrained = SegmentJob(run.start, run.start, PiecewiseLinear(((0, 0.0),)), run.checkpoint, checkpoint=False)
    (result,) = yield Batch("the model before any training", [scoring.ask(untrained)], judge=False)
    if scoring.batches and len(result.scores) < min(LEAST, scoring.batches):
        scoring.batches = 0
        return (yield from look(scoring, run))
    score = scoring.read(result)
    scoring.batches = len(result.scores)
    return score


def batches(wanted: int, steps: int) -> int:
    """How many batches runs of so many steps are scored on."""
    return min(wanted, max(LEAST, round(SHARE * steps / FORWARD)))
