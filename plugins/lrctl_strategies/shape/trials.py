"""Where shapes are measured: each at base LRs and with seeds, by training, or exactly where that is possible."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from lrctl.contracts.axes import Axis, with_peak
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, RunSpec, SearchResult, Work
from lrctl_strategies.grids import extended
from lrctl_strategies.shape.settings import Setting
from lrctl_strategies.unit_cube import lrs_at

FARTHEST = 8
"""How often the grid of base LRs is extended at most."""

TOGETHER = 10_000
"""How many runs an exact workload is asked for at a time."""

UNBOUNDED = Axis(0.0, math.inf, log=True)


@dataclass(frozen=True, slots=True)
class Trial:
    shape: Any
    base_lr: float
    seed: int


@dataclass(frozen=True, slots=True)
class Score:
    """How good a shape is: its median loss over the seeds at the base LR where that is lowest.

    `edge` says that this base LR is the lowest or highest that was tried.
    """

    loss: float
    base_lr: float
    edge: bool = False


@dataclass(slots=True)
class Trials:
    """The losses of every trial so far, in one setting.

    Where the workload tells a run's loss without training it is asked; seeds make no difference then.

    Attributes:
        metric: `validation`, or `train` for the smoothed training loss.
        grid: of base LRs, ascending.
        losses: of each shape by base LR and seed.
        results: of the trials that were trained, to their end.
        spent_steps: what the trials of each shape took.
        lrs: of each shape at every step, kept where it is wanted at many base LRs.
    """

    run: RunSpec
    setting: Setting
    metric: str
    grid: tuple[float, ...]
    losses: dict[Any, dict[float, dict[int, float]]] = field(default_factory=dict)
    results: dict[Trial, JobResult] = field(default_factory=dict)
    spent_steps: dict[Any, float] = field(default_factory=lambda: defaultdict(float))
    lrs: dict[Any, Any] = field(default_factory=dict)

    def measure(self, title: str, shapes: Iterable[Any], lrs: Sequence[float], seeds: Sequence[int]) -> Work[None]:
        """Cross shapes with base LRs and seeds, and measure what is not known yet."""
        trials = [Trial(shape, lr, seed) for shape in dict.fromkeys(shapes) for lr in lrs for seed in seeds]
        yield from self.try_out(title, trials)

    def try_out(self, title: str, trials: Iterable[Trial], *, last: bool = False) -> Work[None]:
        """Measure the trials that are not known yet, with `last` the test loss too."""
        missing = [trial for trial in dict.fromkeys(trials) if not self.known(trial, last)]
        if self.run.exact:
            yield Batch(title, [], judge=False)  # so that people see what goes on
            self.compute(missing)
            return
        if not missing:
            return
        titled = f"{self.setting.label}: {title}" if self.setting.label else title
        jobs = [self.job(trial, last) for trial in missing]
        results = yield Batch(titled, jobs, judge=False, so_far=partial(self.so_far, missing))
        for trial, result in zip(missing, results, strict=True):
            self.results[trial] = result
            self.spent_steps[trial.shape] += result.spent_steps
            self.take(trial, self.loss(result))

    def so_far(self, asked: Sequence[Trial], done: Sequence[JobResult | None]) -> SearchResult | None:
        """The best single trial yet; None if none has ended well, or its runs are not as long as the user's."""
        if self.setting.steps != self.run.steps:
            return None
        results = self.results | {trial: result for trial, result in zip(asked, done, strict=True) if result}
        losses = {trial: self.loss(result) for trial, result in results.items()}
        best = min(losses, key=lambda trial: losses[trial], default=None)
        if best is None or not math.isfinite(losses[best]):
            return None
        note = "the schedule is the best single trial so far: it is ranked by no median, and not trained again"
        by = "validation loss" if self.metric == "validation" else "training loss"
        return SearchResult(with_peak(best.shape, best.base_lr), None, chosen_by=by, notes=(note,))

    def take(self, trial: Trial, loss: float) -> None:
        self.losses.setdefault(trial.shape, {}).setdefault(trial.base_lr, {})[trial.seed] = loss

    def known(self, trial: Trial, last: bool) -> bool:
        if self.run.exact:
            return trial.base_lr in self.losses.get(trial.shape, {})
        return trial in self.results and (not last or "test" in self.results[trial].metrics)

    def compute(self, trials: Sequence[Trial]) -> None:
        import numpy as np

        assert self.run.exact
        every = np.arange(self.setting.steps)
        for trial in trials:
            if trial.shape not in self.lrs:
                self.lrs[trial.shape] = lrs_at(trial.shape, every)
        for first in range(0, len(trials), TOGETHER):
            some = trials[first : first + TOGETHER]
            lrs = np.array([trial.base_lr * self.lrs[trial.shape] for trial in some])
            for trial, loss in zip(some, self.run.exact.expected_losses(lrs).tolist(), strict=True):
                self.take(trial, loss)

    def job(self, trial: Trial, last: bool) -> SegmentJob:
        return SegmentJob(
            0,
            self.setting.steps,
            with_peak(trial.shape, trial.base_lr),
            evaluate=("validation", "test") if last else ("validation",),
            checkpoint=False,
            seed=None if trial.seed == self.run.seed else trial.seed,
            optimizer=self.setting.optimizer_at(trial.base_lr),
            stages=(self.setting.steps,),
        )

    def losses_at(self, pairs: Sequence[tuple[Any, float]]) -> list[float]:
        """The losses of shapes at base LRs, as the workload tells them without training."""
        trials = [Trial(shape, lr, self.run.seed) for shape, lr in pairs]
        self.compute([trial for trial in dict.fromkeys(trials) if not self.known(trial, last=False)])
        return [self.losses[trial.shape][trial.base_lr][trial.seed] for trial in trials]

    def loss(self, result: JobResult) -> float:
        """The loss that choices are made by; +inf for a run that diverged."""
        found = result.metrics["validation"]["loss"] if self.metric == "validation" else result.stage_losses[0]
        return found if math.isfinite(found) and math.isfinite(result.stage_losses[0]) else math.inf

    def tried(self, shape: Any, seeds: Sequence[int]) -> list[float]:
        """The base LRs, ascending, that a shape was tried at with all of these seeds."""
        return sorted(lr for lr, of in self.losses.get(shape, {}).items() if of.keys() >= set(seeds))

    def score(self, shape: Any, seeds: Sequence[int]) -> Score:
        """A shape's score over these seeds; a base LR without all of them does not count."""
        # A median that skipped what diverged would make shapes look good that diverge half of the time.
        medians = {lr: median(self.losses[shape][lr][seed] for seed in seeds) for lr in self.tried(shape, seeds)}
        if not medians:
            return Score(math.inf, self.grid[0])
        best = min(medians, key=lambda lr: medians[lr])
        edge = math.isfinite(medians[best]) and len(medians) > 1 and best in (min(medians), max(medians))
        return Score(medians[best], best, edge)

    def rated(self, shape: Any, seeds: Sequence[int]) -> Score:
        """A shape's score over the seeds of the search, or over the first where halving gave up on it before."""
        return self.score(shape, seeds if self.tried(shape, seeds) else seeds[:1])

    def median_at(self, shape: Any, base_lr: float, seeds: Sequence[int]) -> float | None:
        """A shape's median loss at a base LR over those of the seeds that were tried; None if it is not finite."""
        of = self.losses[shape].get(base_lr, {})
        found = median([of[seed] for seed in seeds if seed in of] or [math.inf])
        return found if math.isfinite(found) else None

    def extend(self, shapes: Sequence[Any], seeds: Sequence[int]) -> Work[None]:
        """Try base LRs beyond the edge for each shape whose best one is on it, until none is."""
        for _ in range(FARTHEST):
            further = [trial for shape in shapes for trial in self.beyond(shape, seeds)]
            if not further:
                return
            yield from self.try_out("base LRs beyond the edge", further)

    def beyond(self, shape: Any, seeds: Sequence[int]) -> list[Trial]:
        """The trials of a shape at the next base LR, if its best one is on the edge of those that were tried."""
        score = self.score(shape, seeds)
        if not score.edge or not math.isfinite(score.loss):
            return []
        tried = self.tried(shape, seeds)
        lr = extended(tried, UNBOUNDED, up=score.base_lr == tried[-1])
        return [Trial(shape, lr, seed) for seed in seeds]
