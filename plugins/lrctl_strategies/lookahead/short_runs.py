"""The short runs that a lookahead search begins with: the scale of the LR, how sure that is, and the rise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.lookahead.parabola import through
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.rollouts import Rollouts
from lrctl_strategies.lookahead.scoring import LEAST, NOTHING, Score, Scoring

SHRINK = 0.3
"""The best LR of a run is taken to be that of a short one times (share of the run) ** this, where noise limits it."""

MOST = 12
"""How many first LRs are tried before the grid is extended no further."""

BISECTIONS = 3
"""How often the gap between the best LR and the next higher one, which diverged, is halved."""

HELD = 0.75
"""Where only divergence limits the LR: the share, of the largest that a short run stands, that a long one can hold."""

WIDE = 4.0
"""Short runs do not tell the LR where they score the LRs in a range of such a factor alike."""

LONGER, STEPS, LONGEST = 1 / 5, 100, 1 / 3
"""They are then made longer: this share of the run, at least so many steps. Where that is more than the last share,
whole runs tell more for the money."""

REPEATED = 1.02
"""By what LRs differ that a run is repeated with, so that the differences are noise."""


@dataclass(slots=True)
class ShortRuns:
    """The short runs: 0 to the LR over the rise, then in a straight line to 0.

    Attributes:
        stop: the step at which they end.
        rises: the steps of the rises that they can tell apart, that which the LRs are tried with first.
        untrained: the score before any training.
        scores: by the steps of the rise and the LR.
        lr: at which the rises were compared.
        alike: the lowest and the highest of the LRs that no noise tells from the best.
        failed: the next higher LR, where it ended no better than it had begun.
    """

    stop: int
    rises: tuple[int, ...]
    untrained: Score = NOTHING
    scores: dict[tuple[int, float], Score] = field(default_factory=dict)
    rise: int = 0
    lr: float = 0.0
    alike: tuple[float, float] = (0.0, 0.0)
    failed: float | None = None

    @property
    def limited(self) -> bool:
        """Whether only divergence limits the LR."""
        return self.failed is not None

    @property
    def wide(self) -> bool:
        """Whether they do not tell the LR."""
        return not self.limited and self.alike[1] >= WIDE * self.alike[0]

    def of(self, rise: int) -> dict[float, float]:
        return {lr: score.mean for (each, lr), score in self.scores.items() if each == rise}

    def best(self, rise: int) -> float:
        scores = self.of(rise)
        return min(scores, key=lambda lr: scores[lr])

    def decide(self, scoring: Scoring) -> None:
        """Take in which LR is best, and which are as good for all that is known."""
        first, self.lr = self.rises[0], self.best(self.rises[0])
        best, lrs = self.scores[first, self.lr], sorted(self.of(first))
        low = high = at = lrs.index(self.lr)
        while low > 0 and not scoring.worse(self.scores[first, lrs[low - 1]], best):
            low -= 1
        while high < len(lrs) - 1 and not scoring.worse(self.scores[first, lrs[high + 1]], best):
            high += 1
        self.alike = (lrs[low], lrs[high]) if low < at or at < high else (self.lr, self.lr)


def shortened(p: Lookahead, steps: int, rises: Sequence[int]) -> ShortRuns:
    """Short runs of so many steps; a rise that takes more than half of one is not told by it."""
    stop = max(1 + rises[0], round(p.short_run * steps))
    if stop >= steps:
        raise UsageError(f"steps: {steps} are too few for a lookahead search; raise --steps")
    return ShortRuns(stop, (rises[0], *(rise for rise in rises[1:] if rise <= stop / 2)))


def scale(p: Lookahead, rollouts: Rollouts, short: ShortRuns) -> Work[float]:
    """Try LRs, then rises, on short runs. Returns the LR for the whole run; `short` takes in what was found."""
    first, scoring = short.rises[0], rollouts.scoring
    short.untrained = yield from look(rollouts)
    yield from train(rollouts, short, [(first, lr) for lr in sorted(set(p.grid)) if rollouts.allows(lr)])
    # The factor from one LR of the grid to the next, in the mean.
    step = (max(p.grid) / min(p.grid)) ** (1 / (len(set(p.grid)) - 1)) if len(set(p.grid)) > 1 else 10**0.5
    while (further := beyond(short, first, step)) is not None and rollouts.allows(further):
        yield from train(rollouts, short, [(first, further)])
    short.lr = short.best(first)
    if not math.isfinite(short.of(first)[short.lr]):
        raise NoValidCandidateError(
            f"first LRs: all {len(short.scores)} diverged, down to {min(lr for _, lr in short.scores):g}; lower "
            "--grid, and check the model and its data"
        )
    above = min((lr for _, lr in short.scores if lr > short.lr), default=None)
    if above is not None and not short.of(first)[above] < short.untrained.mean:
        short.failed = above
    for _ in range(BISECTIONS if short.limited else 0):
        higher = min(lr for _, lr in short.scores if lr > short.lr)
        yield from train(rollouts, short, [(first, math.sqrt(short.lr * higher))])
        short.lr = short.best(first)
    if not scoring.batches and not short.limited:
        yield from repeat(rollouts, short)
    short.decide(scoring)
    if short.wide and short.stop < (stop := max(STEPS, round(LONGER * rollouts.steps))) <= LONGEST * rollouts.steps:
        yield from lengthen(rollouts, short, stop)
    if not short.wide:
        yield from train(rollouts, short, [(rise, short.lr) for rise in short.rises[1:]])
    tried = [rise for rise in short.rises if (rise, short.lr) in short.scores]
    short.rise = min(tried, key=lambda rise: short.scores[rise, short.lr].mean)
    return min(chosen(rollouts.steps, short), rollouts.max_lr or math.inf)


def chosen(steps: int, short: ShortRuns) -> float:
    """The LR that a whole run of so many steps begins with."""
    if short.limited:
        return HELD * short.lr
    lr = math.sqrt(math.prod(short.alike)) if short.wide else through(short.of(short.rises[0])).vertex
    return float(lr * (short.stop / steps) ** SHRINK)


def look(rollouts: Rollouts) -> Work[Score]:
    """Score the model before any training; by validation loss where it turns out that there is nothing in reserve."""
    scoring = rollouts.scoring
    untrained = SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),)), checkpoint=False)
    (result,) = yield Batch("the model before any training", [scoring.ask(untrained)], judge=False)
    if scoring.batches and len(result.scores) < min(LEAST, scoring.batches):
        scoring.batches = 0
        return (yield from look(rollouts))
    score = scoring.read(result)
    scoring.batches = len(result.scores)
    rollouts.spent_steps += scoring.steps
    return score


def train(rollouts: Rollouts, short: ShortRuns, wanted: Sequence[tuple[int, float]]) -> Work[None]:
    if not wanted:
        return
    stop, scoring = short.stop, rollouts.scoring
    ramps = [PiecewiseLinear((*(((0, 0.0),) * (rise > 0)), (rise, lr), (stop, 0.0))) for rise, lr in wanted]
    jobs = [scoring.ask(SegmentJob(0, stop, ramp, checkpoint=False)) for ramp in ramps]
    told = ", ".join(f"LR {lr:.3g} after {rise} steps" for rise, lr in wanted)
    results = yield Batch(f"short runs of {stop} steps: {told}", jobs, judge=False)
    short.scores |= {each: scoring.read(result) for each, result in zip(wanted, results, strict=True)}
    rollouts.spent_steps += len(jobs) * (stop + scoring.steps)


def repeat(rollouts: Rollouts, short: ShortRuns) -> Work[None]:
    """Repeat the best run with LRs that are all but the same: how far their validation losses lie apart is noise."""
    around = ShortRuns(short.stop, short.rises)
    yield from train(rollouts, around, [(short.rises[0], short.lr * by) for by in (REPEATED, 1 / REPEATED)])
    losses = [short.of(short.rises[0])[short.lr], *around.of(short.rises[0]).values()]
    rollouts.scoring.repeats = tuple(filter(math.isfinite, losses))


def lengthen(rollouts: Rollouts, short: ShortRuns, stop: int) -> Work[None]:
    """Try the LRs that score alike once more, on runs of `stop` steps."""
    first, (low, high) = short.rises[0], short.alike
    short.stop, short.scores = stop, {}
    yield from train(rollouts, short, [(first, lr) for lr in sorted({low, short.lr, high})])
    short.decide(rollouts.scoring)


def beyond(short: ShortRuns, rise: int, step: float) -> float | None:
    """The next LR outwards from the best one; None if that lies between others, or the grid was extended enough."""
    scores = short.of(rise)
    best, low, high = short.best(rise), min(scores), max(scores)
    if len(scores) >= MOST:
        return None
    if best == low or not math.isfinite(scores[best]):
        return low / step
    return high * step if best == high else None
