"""What a contest came to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from lrctl.analysis.statistics import paired_tests
from lrctl_strategies.contest.contenders import Contender
from lrctl_strategies.contest.params import Contest
from lrctl_strategies.contest.trials import Ended, Trials


@dataclass(frozen=True, slots=True)
class Difference:
    """A loss of a contender's minus that of yours.

    Attributes:
        mean: over the seeds.
        seeds: how many. One is the recipe's: against yours or, where that had no such run, against the best contender,
            whose own difference is added. 0: of short runs, by their scores.
        interval: of the mean, at 95 %, over fresh seeds.
    """

    mean: float
    seeds: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A contest that is over.

    Attributes:
        short: steps of its short runs.
        able: those that short runs did not drop, best first, without yours.
        finalists: those of them with a whole run.
        rivals: the best finalist, then yours, where they ended well.
        seeds: the fresh ones.
        left_out: why contenders could not take part.
    """

    p: Contest
    trials: Trials
    field: Sequence[Contender]
    short: int
    able: Sequence[Contender]
    finalists: Sequence[Contender]
    rivals: Sequence[Contender]
    seeds: Sequence[int]
    left_out: Sequence[str] = ()

    @property
    def yours(self) -> Contender:
        return self.field[0]

    @property
    def winner(self) -> Contender | None:
        """The rival whose runs with fresh seeds scored best, in the mean; yours where they are level."""
        if not self.seeds:
            return next((each for each in self.rivals if self.trials.handed(each)), None)
        scores = {each: fmean(run.score.mean for run in self.fresh(each)) for each in reversed(self.rivals)}
        best = min(scores, key=lambda each: scores[each])
        return best if math.isfinite(scores[best]) else None

    @property
    def handed(self) -> Ended | None:
        """The run that is handed over."""
        return self.trials.handed(self.winner) if self.winner else None

    def fresh(self, contender: Contender) -> list[Ended]:
        """Its runs with the fresh seeds, in their order; none of those that are no rivals."""
        return [run for seed in self.seeds for run in self.trials.of(contender, self.trials.steps, seed).values()]

    def difference(self, contender: Contender) -> Difference | None:
        """What a contender was better by than yours, on the longest runs that tell."""
        if contender.yours:
            return None
        if self.seeds and contender is self.rivals[0]:
            pairs = zip(self.fresh(contender), self.fresh(self.yours), strict=True)
            (test,) = paired_tests([[a.test_loss - b.test_loss for a, b in pairs]])
            return Difference(test.mean, len(self.seeds), test.interval)
        whole, yours = (self.trials.best(each, self.trials.steps) for each in (contender, self.yours))
        if whole and yours:
            return Difference(whole.test_loss - yours.test_loss, 1)
        if whole and self.seeds and (best := self.trials.best(self.rivals[0], self.trials.steps)):
            known = self.difference(self.rivals[0])
            assert known
            return Difference(whole.test_loss - best.test_loss + known.mean, 1)
        short, yours = (self.trials.best(each, self.short) for each in (contender, self.yours))
        return Difference(short.score.mean - yours.score.mean, 0) if short and yours else None

    def test_loss(self, contender: Contender) -> float | None:
        """With fresh seeds the mean, else with the recipe's; None where it has had short runs only."""
        runs = self.fresh(contender) or [run for run in [self.longest(contender)] if run and run.losses]
        return fmean(run.test_loss for run in runs) if runs else None

    def full_runs(self, contender: Contender) -> float:
        """What its runs took."""
        return sum(self.trials.cost(trial.steps) for trial in self.trials.ended if trial.contender == contender)

    def longest(self, contender: Contender) -> Ended | None:
        """The best of its longest runs."""
        return self.trials.handed(contender) or self.trials.best(contender, self.short)

    def step_time(self, contender: Contender) -> float | None:
        """How many times as long as yours a step takes; None where it was not measured."""
        mine, yours = (self.seconds(each) for each in (contender, self.yours))
        return mine / yours if mine and yours else None

    def at_equal_time(self, contender: Contender) -> float | None:
        """About the difference of whole runs, did yours take as many more or fewer steps as need the same time.

        None where times or whole runs are missing.
        """
        times, difference = self.step_time(contender), self.difference(contender)
        if times is None or difference is None or not difference.seeds:
            return None
        return difference.mean + self.slope * math.log(times)

    def seconds(self, contender: Contender) -> float:
        """Of a step, in the fastest of its runs: other work on the machine makes a run slower, and none faster."""
        runs = (run.seconds for trial, run in self.trials.ended.items() if trial.contender == contender)
        return min(runs, default=0.0)

    @property
    def slope(self) -> float:
        """What yours gained, in the mean from short runs to whole ones, for each e-fold of the steps."""
        short, whole = (self.trials.best(self.yours, self.short), self.trials.handed(self.yours))
        if not (short and whole):
            return 0.0
        return max(0.0, short.score.mean - whole.score.mean) / math.log(self.trials.steps / self.short)
