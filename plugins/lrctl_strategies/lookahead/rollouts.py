"""Whole runs that end in a straight wind-down to LR 0, each resumed from what it shares with those before it.

A run is given by the LRs at its first knots; from the last of these the LR falls in a straight line to 0 at the end.
Every run is cut at every knot, whether its LR turns there or not, so that any other can branch off there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lrctl.contracts.job import FORWARD, SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Work
from lrctl.contracts.table import number

Knots = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A whole run that was tried.

    Attributes:
        move: what it changes, for people.
        lrs: at the first knots; from the last of them the LR falls to 0.
        spent: full runs that the search had cost after it.
    """

    move: str
    lrs: tuple[float, ...]
    knots: Knots
    score: float
    key: str
    spent: float


@dataclass(slots=True)
class Rollouts:
    """The runs tried so far, and the best of them.

    Attributes:
        steps: of a whole run.
        score_batches: the reserved batches of training data that a run is scored by after its last step; 0: validation
            loss.
        budget: full runs that no run that is attempted goes beyond.
        max_lr: no LR above this is tried.
        at: the steps of the knots, ascending, all within the run.
        keys: of every job so far, by the knots up to its end.
        spent_steps: trained so far, in whole steps; a score counts as its forward passes.
        skipped: runs that were left out for want of a budget.
    """

    steps: int
    score_batches: int
    budget: float = math.inf
    max_lr: float | None = None
    at: tuple[int, ...] = ()
    keys: dict[Knots, str] = field(default_factory=dict)
    tried: list[Rollout] = field(default_factory=list)
    spent_steps: float = 0.0
    skipped: int = 0

    @property
    def best(self) -> Rollout:
        return min(self.tried, key=lambda rollout: rollout.score)

    @property
    def spent(self) -> float:
        return self.spent_steps / self.steps

    @property
    def scoring(self) -> float:
        """Steps that a score counts as."""
        return FORWARD * self.score_batches

    def scored(self, job: SegmentJob) -> SegmentJob:
        if self.score_batches:
            return replace(job, score_batches=self.score_batches)
        return replace(job, evaluate=("validation",))

    def score(self, result: JobResult) -> float:
        """The score of a job; +inf if it is not finite."""
        score = result.score if self.score_batches else result.metrics["validation"]["loss"]
        return score if score is not None and math.isfinite(score) else math.inf

    def lr(self, lrs: Sequence[float], knot: int) -> float:
        """The LR at knot number `knot` of the run that is given by the LRs at its first knots."""
        if knot < len(lrs):
            return lrs[knot]
        return lrs[-1] * (self.steps - self.at[knot]) / (self.steps - self.at[len(lrs) - 1])

    def knots(self, lrs: Sequence[float]) -> Knots:
        """The whole schedule, with a knot at every place where runs may part."""
        between = tuple((step, self.lr(lrs, knot)) for knot, step in enumerate(self.at))
        return ((0, 0.0), *between, (self.steps, 0.0))

    def allows(self, lr: float) -> bool:
        return self.max_lr is None or lr <= self.max_lr

    def affords(self, runs: Sequence[Sequence[float]]) -> bool:
        """Whether the budget has room for all these runs, each given by the LRs at its first knots."""
        # A set: what two of them share is trained once.
        parts = {knots[:n] for knots in map(self.knots, runs) for n in range(2, len(knots) + 1)}
        missing = parts - self.keys.keys()
        scored = sum(knots[-1][0] == self.steps for knots in missing)
        trained = sum(knots[-1][0] - knots[-2][0] for knots in missing)
        return self.spent + (trained + self.scoring * scored) / self.steps <= self.budget

    def attempt(self, move: str, lrs: Sequence[float]) -> Work[bool]:
        """Try a run unless it goes beyond the budget or the largest LR. Returns whether it is the best so far."""
        before = self.best
        if not all(map(self.allows, lrs)):
            return False
        if not self.affords([lrs]):
            self.skipped += 1
            return False
        (rollout,) = yield from self.roll([(move, lrs)])
        return rollout.score < before.score

    def roll(self, moves: Sequence[tuple[str, Sequence[float]]]) -> Work[list[Rollout]]:
        """Train runs, each from the last knot up to which it is known; several go side by side."""
        wanted = [self.knots(lrs) for _, lrs in moves]
        title = "; ".join(move for move, _ in moves)
        if self.tried:
            title += f" (best score so far {digits(self.best.score)})"
        scores: dict[Knots, float] = {}
        whole = len(self.at) + 2
        for n in range(2, whole + 1):
            parts = [knots for knots in dict.fromkeys(each[:n] for each in wanted) if knots not in self.keys]
            jobs = [self.job(knots) for knots in parts]
            if jobs:
                results = yield Batch(title, jobs, keep=self.needed(wanted), judge=False)
                self.keys |= {knots: result.key for knots, result in zip(parts, results, strict=True)}
                self.spent_steps += sum(job.steps for job in jobs)
                if n == whole:
                    scores = {knots: self.score(result) for knots, result in zip(parts, results, strict=True)}
        self.spent_steps += self.scoring * len(scores)
        known = {rollout.knots: rollout.score for rollout in self.tried} | scores
        done = [
            Rollout(move, tuple(lrs), knots, known[knots], self.keys[knots], self.spent)
            for (move, lrs), knots in zip(moves, wanted, strict=True)
        ]
        self.tried += done
        return done

    def job(self, knots: Knots) -> SegmentJob:
        (start, _), (stop, _) = knots[-2:]
        job = SegmentJob(start, stop, PiecewiseLinear(knots), self.keys.get(knots[:-1]))
        return self.scored(job) if stop == self.steps else job

    def needed(self, wanted: Sequence[Knots]) -> frozenset[str]:
        """The checkpoints that these runs, or a later one that branches off the best, may go on from."""
        chains = [*wanted, *([self.best.knots] if self.tried else [])]
        return frozenset(
            self.keys[knots[:n]] for knots in chains for n in range(2, len(knots) + 1) if knots[:n] in self.keys
        )


def digits(score: float) -> str:
    """A score with at least four digits that tell.

    >>> digits(3.69412), digits(0.0046371)
    ('3.6941', '0.004637')
    """
    return f"{score:.4g}" if 0 < abs(score) < 0.1 else number(score)
