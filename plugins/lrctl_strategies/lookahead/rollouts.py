"""Whole runs that end in a straight wind-down, each resumed from what it shares with those before it.

A run is given by the step at which its LR has risen and the LRs at its first knots, the first of them at the end of the
rise; from the last of these the LR falls in a straight line to the floor, which is 0 by default, at the end. Of a run
that is under way all this is about what is left of it, and the LR rises, or falls, from what it is. Every run is cut at
every knot, whether its LR turns there or not, so that any other can branch off there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, Work
from lrctl.contracts.table import number
from lrctl_strategies.lookahead.scoring import Score, Scoring

Knots = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Course:
    """The LRs of a whole run.

    Attributes:
        rise: the step at which the LR has risen from 0; where that is the first step, it begins at its first LR.
        lrs: at the first knots, of which the first is at the end of the rise.
    """

    rise: int
    lrs: tuple[float, ...]

    @property
    def level(self) -> bool:
        """Whether the LR is held until it falls."""
        return len(set(self.lrs)) == 1

    @property
    def shape(self) -> tuple[int, tuple[float, ...]]:
        """What it shares with the runs whose LRs are all larger or smaller by one factor."""
        return self.rise, tuple(round(lr / self.lrs[0], 9) for lr in self.lrs)

    def scaled(self, lr: float) -> Course:
        """The same shape, with another LR at the end of the rise."""
        return replace(self, lrs=tuple(lr * (each / self.lrs[0]) for each in self.lrs))

    def held(self, knots: int) -> Course:
        """The first LR, held until that knot, counted from 1."""
        return replace(self, lrs=self.lrs[:1] * knots)


@dataclass(frozen=True, slots=True)
class Rollout:
    """A whole run that was tried.

    Attributes:
        move: what it changes, for people.
        spent: full runs that the search had cost after it.
    """

    move: str
    course: Course
    knots: Knots
    score: Score
    key: str
    spent: float

    @property
    def lr(self) -> float:
        """At the end of the rise."""
        return self.course.lrs[0]

    @property
    def loss(self) -> float:
        return self.score.mean


@dataclass(slots=True)
class Rollouts:
    """The runs tried so far, and the best of them.

    Attributes:
        run: whose courses are tried.
        turns: the steps of the knots behind the rise, ascending.
        budget: full runs that no run that is attempted goes beyond.
        max_lr: no LR above this is tried.
        floor: the LR at the end over the highest; a run that is below that stays where it is.
        optimizer: that all are trained with, where it is not the recipe's.
        keep: jobs of others whose checkpoints stay.
        keys: of the jobs whose checkpoints are there, by the knots up to their ends.
        spent_steps: trained so far, in whole steps; a score counts as its forward passes.
        skipped: runs that were left out for want of a budget, as moves.
        misfit: how far a run at the lowest point of a parabola was off it, at the most.
    """

    run: RunSpec
    turns: tuple[int, ...]
    scoring: Scoring
    budget: float = math.inf
    max_lr: float | None = None
    floor: float = 0.0
    optimizer: OptimizerSettings | None = None
    keep: frozenset[str] = frozenset()
    keys: dict[Knots, str] = field(default_factory=dict)
    tried: list[Rollout] = field(default_factory=list)
    spent_steps: float = 0.0
    skipped: dict[Knots, str] = field(default_factory=dict)
    misfit: float = 0.0

    @property
    def best(self) -> Rollout:
        return min(self.tried, key=lambda rollout: rollout.loss)

    @property
    def steps(self) -> int:
        """The step at which every run ends."""
        return self.run.steps

    @property
    def spent(self) -> float:
        return self.spent_steps / self.run.left

    def beginning(self, rise: int) -> Knots:
        """The knot before the rise, where there is one."""
        return ((self.run.start, self.run.lr),) * (rise > self.run.start)

    def at(self, rise: int) -> tuple[int, ...]:
        """The steps of the knots of a run with this rise."""
        return (rise, *(step for step in self.turns if step > rise))

    def lr(self, course: Course, knot: int) -> float:
        """The LR at a knot, counted from 0."""
        lrs, at = course.lrs, self.at(course.rise)
        if knot < len(lrs):
            return lrs[knot]
        begin = at[len(lrs) - 1]
        down = lrs[-1] * (self.steps - at[knot]) + self.end(course) * (at[knot] - begin)
        return down / (self.steps - begin)

    def end(self, course: Course) -> float:
        """The LR at the end of a run."""
        return min(self.floor * max(course.lrs), course.lrs[-1])

    def knots(self, course: Course) -> Knots:
        """The whole schedule, with a knot at every place where runs may part."""
        between = tuple((step, self.lr(course, knot)) for knot, step in enumerate(self.at(course.rise)))
        return (*self.beginning(course.rise), *between, (self.steps, self.end(course)))

    def as_far(self, course: Course, other: Course) -> Course:
        """The shape of a run with such LRs that they add up to those of another: then it trains about as far."""
        return course.scaled(course.lrs[0] * area(self.knots(other)) / area(self.knots(course)))

    def allows(self, lr: float) -> bool:
        return self.max_lr is None or lr <= self.max_lr

    def affords(self, courses: Sequence[Course]) -> bool:
        """Whether the budget has room for all these runs."""
        # A set: what two of them share is trained once.
        parts = {knots[:n] for knots in map(self.knots, courses) for n in range(2, len(knots) + 1)}
        missing = parts - self.keys.keys()
        scored = sum(knots[-1][0] == self.steps for knots in missing)
        trained = sum(knots[-1][0] - knots[-2][0] for knots in missing)
        return self.spent + (trained + self.scoring.steps * scored) / self.run.left <= self.budget

    def like(self, course: Course) -> dict[float, Rollout]:
        """The runs of the same shape, by the LR at the end of the rise."""
        return {rollout.lr: rollout for rollout in self.tried if rollout.course.shape == course.shape}

    def attempt(self, move: str, course: Course) -> Work[bool]:
        """Try a run, unless it was or goes beyond the budget or the largest LR. Returns whether it is the best yet."""
        before, knots = self.best, self.knots(course)
        if not all(map(self.allows, course.lrs)) or any(rollout.knots == knots for rollout in self.tried):
            return False
        if not self.affords([course]):
            self.skipped[knots] = move
            return False
        self.skipped.pop(knots, None)
        (rollout,) = yield from self.roll([(move, course)])
        return rollout.loss < before.loss

    def roll(self, moves: Sequence[tuple[str, Course]]) -> Work[list[Rollout]]:
        """Train runs, each from the last knot up to which it is known; several go side by side."""
        wanted = [self.knots(course) for _, course in moves]
        self.keys = dict(self.needed(wanted))
        title = "; ".join(move for move, _ in moves)
        if self.tried:
            title += f" (best score so far {digits(self.scoring.told(self.best.loss))})"
        scores = {rollout.knots: rollout.score for rollout in self.tried}
        for n in range(2, max(map(len, wanted)) + 1):
            parts = [part for part in dict.fromkeys(each[:n] for each in wanted) if part not in self.keys]
            jobs = [self.job(part) for part in parts]
            if jobs:
                keep = self.keep | frozenset(self.keys.values())
                results = yield Batch(title, jobs, keep=keep, judge=False, so_far=self.so_far)
                self.keys |= {part: result.key for part, result in zip(parts, results, strict=True)}
                self.spent_steps += sum(job.steps for job in jobs)
                for part, result in zip(parts, results, strict=True):
                    if part[-1][0] == self.steps:
                        scores[part] = self.scoring.read(result)
                        self.spent_steps += self.scoring.steps
        done = [
            Rollout(move, course, knots, scores[knots], self.keys[knots], self.spent)
            for (move, course), knots in zip(moves, wanted, strict=True)
        ]
        self.tried += done
        return done

    def so_far(self, _: object = None) -> SearchResult | None:
        """The best whole run yet; None if none has ended well."""
        if not self.tried or not math.isfinite(self.best.loss):
            return None
        return SearchResult(PiecewiseLinear(self.best.knots), self.best.key, chosen_by=self.scoring.by)

    def job(self, knots: Knots) -> SegmentJob:
        (start, _), (stop, _) = knots[-2:]
        parent = self.keys.get(knots[:-1]) if knots[:-2] else self.run.checkpoint
        job = SegmentJob(start, stop, PiecewiseLinear(knots), parent, optimizer=self.optimizer)
        return self.scoring.ask(job) if stop == self.steps else job

    def needed(self, wanted: Sequence[Knots]) -> Iterator[tuple[Knots, str]]:
        """The jobs that these runs, or a later one that branches off the best, may go on from; no others are kept."""
        for knots in [*wanted, *([self.best.knots] if self.tried else [])]:
            for n in range(2, len(knots) + 1):
                if key := self.keys.get(knots[:n]):
                    yield knots[:n], key


def area(knots: Knots) -> float:
    """What the LRs of a run add up to."""
    return sum((stop - start) * (a + b) / 2 for (start, a), (stop, b) in pairwise(knots))


def digits(score: float) -> str:
    """A score with at least four digits that tell.

    >>> digits(3.69412), digits(0.0046371)
    ('3.6941', '0.004637')
    """
    return f"{score:.4g}" if 0 < abs(score) < 0.1 else number(score)
