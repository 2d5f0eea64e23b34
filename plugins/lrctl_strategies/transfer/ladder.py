"""WSD runs of several lengths: one trunk for each LR, off which the cooldown of every length branches.

A run of h steps rises to its LR, holds it until step h/2 and goes in a straight line to 0. So a run of another length
with the same LR has the same trunk, as far as that goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, Work
from lrctl_strategies.lookahead.scoring import Score, Scoring


@dataclass(slots=True)
class Ladder:
    """What the rungs share.

    Attributes:
        warmup: steps in which the LR rises, the same for all lengths.
        cuts: steps at which trunks are cut, ascending: half of the length of each rung.
        max_lr: no LR above this is tried.
        trunks: the jobs that held an LR up to a cut.
        spent_steps: trained so far; a score counts as its forward passes.
        epoch: updates in one pass through the training data, where that is known.
    """

    warmup: int
    cuts: tuple[int, ...]
    scoring: Scoring
    max_lr: float | None = None
    trunks: dict[tuple[float, int], str] = field(default_factory=dict)
    spent_steps: float = 0.0
    epoch: float | None = None

    def allows(self, lr: float) -> bool:
        return self.max_lr is None or lr <= self.max_lr

    def climb(
        self, stop: int, lrs: Sequence[float], keep: float | None = None, likely: float | None = None
    ) -> Work[dict[float, Score]]:
        """The scores of runs of `stop` steps by their LRs. The trunks of the LR `keep` stay, for later rungs.

        A dry run takes the LR `likely` for the best.
        """
        title = f"runs of {stop} steps: {', '.join(f'LR {lr:.3g}' for lr in lrs)}"
        hold = stop // 2
        for start, end in pairwise((0, *(cut for cut in self.cuts if cut <= hold))):
            missing = [lr for lr in lrs if (lr, end) not in self.trunks]
            jobs = [SegmentJob(start, end, self.held(lr), self.trunks.get((lr, start))) for lr in missing]
            if jobs:
                results = yield Batch(title, jobs, keep=self.kept({*lrs, keep}), judge=False)
                self.trunks |= {(lr, end): result.key for lr, result in zip(missing, results, strict=True)}
                self.spent_steps += sum(job.steps for job in jobs)
        jobs = [self.scoring.ask(self.cooldown(lr, hold, stop)) for lr in lrs]
        results = yield Batch(title, jobs, keep=self.kept({*lrs, keep}), judge=False, likely=likely)
        scores = {lr: self.scoring.read(result) for lr, result in zip(lrs, results, strict=True)}
        self.spent_steps += sum(job.steps + self.scoring.steps for job in jobs)
        self.epoch = results[0].epoch
        return scores

    def kept(self, lrs: set[float | None]) -> frozenset[str]:
        return frozenset(key for (lr, _), key in self.trunks.items() if lr in lrs)

    def held(self, lr: float) -> PiecewiseLinear:
        return PiecewiseLinear((*(((0, 0.0),) * (self.warmup > 0)), (self.warmup, lr)))

    def cooldown(self, lr: float, hold: int, stop: int) -> SegmentJob:
        knots = (*self.held(lr).knots, (hold, lr), (stop, 0.0))
        return SegmentJob(hold, stop, PiecewiseLinear(knots), self.trunks[lr, hold], checkpoint=False)
