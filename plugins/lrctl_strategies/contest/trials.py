"""The training runs of a contest, what they are worth, and what they have cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD, JobResult
from lrctl.contracts.strategy import Batch, SearchResult, Work
from lrctl_strategies.contest.contenders import Contender, table
from lrctl_strategies.lookahead.scoring import LEAST, NOTHING, Score, Scoring, batches

SPLITS = ("validation", "test")
UNTRAINED = PiecewiseLinear(((0, 0.0),))


@dataclass(frozen=True, slots=True)
class Trial:
    """A contender's run of so many steps with a peak LR and a seed."""

    contender: Contender
    steps: int
    lr: float
    seed: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that was trained to its end.

    Attributes:
        key: of its job.
        seconds: that a step took.
        losses: train, validation and test loss of a whole run; none of a short one.
    """

    trial: Trial
    key: str
    score: Score
    seconds: float
    losses: tuple[float, ...] = ()

    @property
    def test_loss(self) -> float:
        return self.losses[-1]


@dataclass(slots=True)
class Trials:
    """The runs so far, short and whole.

    Attributes:
        steps: of a whole run.
        seed: the recipe's, by which contenders are chosen.
        wanted: batches of a score.
        reserve: batches that the workload keeps aside for scores, at the most as many as wanted; 0: scores are
            validation losses.
        evaluated: forward passes that a validation loss takes.
        passes: forward passes that a batch of a score takes: more than one where averages of the weights are judged.
        untrained: the score before any training.
    """

    steps: int
    seed: int
    budget: float
    wanted: int
    reserve: int
    evaluated: int = 0
    passes: float = 1.0
    untrained: Score = NOTHING
    ended: dict[Trial, Ended] = field(default_factory=dict)
    spent_steps: float = 0.0

    @property
    def spent(self) -> float:
        """Full runs so far."""
        return self.spent_steps / self.steps

    def scoring(self, steps: int) -> Scoring:
        """How runs of so many steps are scored: a short one on fewer batches."""
        return Scoring(min(self.reserve, batches(self.wanted, steps)))

    def cost(self, steps: int) -> float:
        """What such a run takes, in full runs."""
        return (steps + FORWARD * (self.passes * self.scoring(steps).batches or self.evaluated)) / self.steps

    def affords(self, runs: int, steps: int, reserved: int) -> bool:
        """Whether the budget has room for runs of so many steps, and the whole runs that are reserved."""
        return self.spent + runs * self.cost(steps) + reserved * self.cost(self.steps) <= self.budget

    def make(self, contender: Contender) -> Work[None]:
        """Make its optimizer, and train nothing.

        Raises:
            UsageError: it cannot be made for this model.
        """
        job = self.own(SegmentJob(0, 0, UNTRAINED, checkpoint=False), Trial(contender, 0, 0.0, self.seed))
        yield Batch(f"the optimizer of {contender.name}", [job], judge=False)

    def look(self) -> Work[None]:
        """Score the model before any training; by validation loss where it turns out that little is in reserve."""
        scoring = Scoring(self.reserve)
        job = SegmentJob(0, 0, UNTRAINED, checkpoint=False)
        (result,) = yield Batch("the model before any training", [scoring.ask(job)], judge=False)
        self.untrained = scoring.read(result)
        self.spent_steps += scoring.steps
        if self.reserve and len(result.scores) < min(LEAST, self.reserve):
            self.reserve = 0
            yield from self.look()
        elif self.reserve:
            self.reserve = len(result.scores)
        else:
            self.evaluated = scoring.forwards

    def train(self, title: str, wanted: Sequence[Trial], keep: frozenset[str] = frozenset()) -> Work[None]:
        """Train what is not known yet, and evaluate whole runs: that decides nothing, and is not counted as a cost."""
        new = [trial for trial in dict.fromkeys(wanted) if trial not in self.ended]
        if not new:
            return
        so_far = partial(self.so_far, new)
        results = yield Batch(title, [self.job(trial) for trial in new], keep=keep, judge=False, so_far=so_far)
        for trial, result in zip(new, results, strict=True):
            scoring = self.scoring(trial.steps)
            score = scoring.read(result)
            self.spent_steps += trial.steps + scoring.steps
            if scoring.batches:
                self.passes = scoring.forwards / scoring.batches
            else:
                self.evaluated = scoring.forwards
            self.ended[trial] = Ended(trial, result.key, score, result.seconds / trial.steps)
        whole = [self.ended[trial] for trial in new if trial.steps == self.steps]
        if whole:
            jobs, so_far = list(map(self.evaluation, whole)), partial(self.so_far, ())
            results = yield Batch(f"{title}: test loss", jobs, keep=keep, judge=False, so_far=so_far)
            self.ended |= {run.trial: told(run, result) for run, result in zip(whole, results, strict=True)}

    def so_far(self, asked: Sequence[Trial], done: Sequence[JobResult | None]) -> SearchResult | None:
        """The best whole run with the recipe's seed yet; None if none has ended well."""
        scoring = self.scoring(self.steps)
        runs = {trial: (run.score.mean, run.key) for trial, run in self.ended.items()}
        ended = zip(asked, done, strict=False)  # an evaluation adds no run
        runs |= {trial: (scoring.read(result).mean, result.key) for trial, result in ended if result}
        whole = {trial: run for trial, run in runs.items() if (trial.steps, trial.seed) == (self.steps, self.seed)}
        best = min(whole, key=lambda trial: whole[trial][0], default=None)
        if best is None or not math.isfinite(whole[best][0]):
            return None
        return SearchResult(
            best.contender.schedule(self.steps, best.lr),
            whole[best][1],
            chosen_by=scoring.by,
            summary={
                "winner": best.contender.name,
                "optimizer": table(best.contender.settings) if best.contender.settings else None,
            },
            notes=(f"the best whole run so far is that of {best.contender.name}: the contest is not decided",),
        )

    def job(self, trial: Trial) -> SegmentJob:
        schedule = trial.contender.schedule(trial.steps, trial.lr)
        job = SegmentJob(0, trial.steps, schedule, checkpoint=trial.steps == self.steps)
        return self.scoring(trial.steps).ask(self.own(job, trial))

    def evaluation(self, run: Ended) -> SegmentJob:
        schedule = run.trial.contender.schedule(self.steps, run.trial.lr)
        job = SegmentJob(self.steps, self.steps, schedule, run.key, evaluate=SPLITS, checkpoint=False)
        return self.own(job, run.trial)

    def own(self, job: SegmentJob, trial: Trial) -> SegmentJob:
        """A job with the seed and the optimizer of its trial, where they are not the recipe's."""
        contender = trial.contender
        return replace(
            job,
            seed=None if trial.seed == self.seed else trial.seed,
            optimizer=None if contender.yours else contender.settings,
        )

    def of(self, contender: Contender, steps: int, seed: int | None = None) -> Mapping[float, Ended]:
        """Its runs of so many steps with a seed, the recipe's unless told, by the LR."""
        wanted = self.seed if seed is None else seed
        runs = (
            run
            for trial, run in self.ended.items()
            if (trial.contender, trial.steps, trial.seed) == (contender, steps, wanted)
        )
        return {run.trial.lr: run for run in runs}

    def best(self, contender: Contender, steps: int) -> Ended | None:
        """The best of its runs of so many steps; None where there is none, or all of them failed."""
        good = (run for run in self.of(contender, steps).values() if math.isfinite(run.score.mean))
        return min(good, key=lambda run: run.score.mean, default=None)

    def handed(self, contender: Contender) -> Ended | None:
        """The whole run that a contender would hand over: of the recipe's seed, else of the first that ended well."""
        whole = (run for trial, run in self.ended.items() if (trial.contender, trial.steps) == (contender, self.steps))
        good = [run for run in whole if math.isfinite(run.score.mean)]
        return self.best(contender, self.steps) or next(iter(good), None)


def told(run: Ended, result: JobResult) -> Ended:
    """A run with the losses that were measured at its end, of which the test loss has no say in whether it failed."""
    train_loss = math.inf if result.train_loss is None else result.train_loss
    losses = (train_loss, *(result.metrics[split]["loss"] for split in SPLITS))
    sound = all(map(math.isfinite, losses[:-1]))
    return replace(run, score=run.score if sound else NOTHING, losses=losses)
