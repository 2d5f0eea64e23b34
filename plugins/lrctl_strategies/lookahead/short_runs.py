"""The short runs that a lookahead search begins with: the scale of the LR, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lrctl.contracts.horizon import FEWEST
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.lookahead.parabola import through
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.rollouts import Rollouts
from lrctl_strategies.lookahead.scoring import NOTHING, Score, Scoring, look

SHRINK = 0.3
"""The best LR of a run is taken to be that of a short one times (share of the run) ** this, where noise limits it."""

MOST = 12
"""How many first LRs are tried before the grid is extended no further."""

HIGHER = 4
"""How many LRs above the grid are tried where all score alike and none has learned anything."""

BISECTIONS = 3
"""How often the gap between the best LR and the next higher one, which diverged, is halved."""

HELD = 0.75
"""Where only divergence limits the LR: the share, of the largest that a short run stands, that a long one can hold."""

WIDE = 4.0
"""Short runs do not tell the LR where they score the LRs in a range of such a factor alike."""

LONGER, LONGEST = 1 / 5, 1 / 3
"""They are then made longer: this share of the run, at least `FEWEST` steps. Where that is more than the last share,
whole runs tell more for the money."""

REPEATED = 1.02
"""By what LRs differ that a run is repeated with, so that the differences are noise."""


@dataclass(slots=True)
class ShortRuns:
    """The short runs: to the LR over the rise, from 0 or what a run under way has, then in a straight line to 0.

    Attributes:
        stop: the step at which they end.
        rise: the step at which the LR has risen.
        untrained: the score before any training.
        scores: by the LR.
        alike: the lowest and the highest of the LRs that no noise tells from the best.
        failed: the next LR above the best one, where it ended no better than it had begun.
    """

    stop: int
    rise: int
    untrained: Score = NOTHING
    scores: dict[float, Score] = field(default_factory=dict)
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

    @property
    def losses(self) -> dict[float, float]:
        """The mean losses, by the LR."""
        return {lr: score.mean for lr, score in self.scores.items()}

    @property
    def lr(self) -> float:
        """The best LR."""
        return min(self.scores, key=lambda lr: self.scores[lr].mean)

    @property
    def above(self) -> float | None:
        """The next LR above the best one."""
        return min((lr for lr in self.scores if lr > self.lr), default=None)

    def learned(self, scoring: Scoring) -> bool:
        """Whether the best of them is better than the model before any training, by more than the noise."""
        return scoring.worse(self.untrained, self.scores[self.lr])

    def decide(self, scoring: Scoring) -> None:
        """Take in which LRs are as good as the best for all that is known."""
        self.alike = scoring.alike(self.scores)


def shortened(p: Lookahead, run: RunSpec, rise: int) -> ShortRuns:
    """The short runs of a run."""
    stop = max(1 + rise, run.start + round(p.short_run * run.left))
    if stop >= run.steps:
        raise UsageError(f"steps: {run.left} are too few for a lookahead search; raise --steps")
    return ShortRuns(stop, rise)


def grid_of(p: Lookahead, run: RunSpec) -> list[float]:
    """The first LRs, ascending; in a run that is under way their middle is the LR that it has."""
    grid = sorted(set(p.grid))
    return [lr / grid[len(grid) // 2] * run.lr for lr in grid] if run.lr else grid


def scale(p: Lookahead, rollouts: Rollouts, short: ShortRuns) -> Work[float]:
    """Try LRs on short runs. Returns the LR that the whole runs begin with; `short` takes in what was found."""
    scoring, run, grid = rollouts.scoring, rollouts.run, grid_of(p, rollouts.run)
    short.untrained = yield from look(scoring, run)
    rollouts.spent_steps += scoring.steps
    yield from train(rollouts, short, [lr for lr in grid if rollouts.allows(lr)] or [rollouts.max_lr or grid[0]])
    # The factor from one LR of the grid to the next, in the mean.
    step = (grid[-1] / grid[0]) ** (1 / (len(grid) - 1)) if len(grid) > 1 else 10**0.5
    while (further := beyond(short, step, grid[-1], scoring)) is not None and rollouts.allows(further):
        yield from train(rollouts, short, [further])
    if not math.isfinite(short.losses[short.lr]):
        raise NoValidCandidateError(
            f"first LRs: all {len(short.scores)} diverged, down to {min(short.scores):g}; lower --grid, and check the "
            "model and its data"
        )
    # Where a run begins, a higher LR that is of no use at all is one that diverges; later it may be one too high. Where
    # no LR is of any use, that tells nothing.
    useless = short.untrained.mean if not run.start and short.learned(scoring) else math.inf
    if short.above is not None and not short.losses[short.above] < useless:
        short.failed = short.above
    for _ in range(BISECTIONS if short.limited else 0):
        assert short.above is not None  # the one that failed at least
        yield from train(rollouts, short, [math.sqrt(short.lr * short.above)])
    if not scoring.batches and not short.limited:
        yield from repeat(rollouts, short)
    short.decide(scoring)
    longer = max(FEWEST, round(LONGER * run.left))
    if short.wide and short.stop - run.start < longer <= LONGEST * run.left:
        yield from lengthen(rollouts, short, run.start + longer)
    return min(chosen(run, short), rollouts.max_lr or math.inf)


def chosen(run: RunSpec, short: ShortRuns) -> float:
    """The LR that a whole run begins with."""
    if short.limited:
        return HELD * short.lr
    lr = math.sqrt(math.prod(short.alike)) if short.wide else through(short.losses).vertex
    return float(lr * ((short.stop - run.start) / run.left) ** SHRINK)


def train(rollouts: Rollouts, short: ShortRuns, lrs: Sequence[float]) -> Work[None]:
    stop, rise, scoring, run = short.stop, short.rise, rollouts.scoring, rollouts.run
    ramps = [PiecewiseLinear((*rollouts.beginning(rise), (rise, lr), (stop, 0.0))) for lr in lrs]
    jobs = [scoring.ask(SegmentJob(run.start, stop, ramp, run.checkpoint, checkpoint=False)) for ramp in ramps]
    told = ", ".join(f"LR {lr:.3g}" for lr in lrs)
    results = yield Batch(f"short runs of {stop - run.start} steps: {told}", jobs, judge=False)
    short.scores |= {lr: scoring.read(result) for lr, result in zip(lrs, results, strict=True)}
    rollouts.spent_steps += len(jobs) * (stop - run.start + scoring.steps)


def repeat(rollouts: Rollouts, short: ShortRuns) -> Work[None]:
    """Repeat the best run with LRs that are all but the same: how far their validation losses lie apart is noise."""
    around = ShortRuns(short.stop, short.rise)
    yield from train(rollouts, around, [short.lr * by for by in (REPEATED, 1 / REPEATED)])
    losses = [short.losses[short.lr], *around.losses.values()]
    rollouts.scoring.repeats = tuple(filter(math.isfinite, losses))


def lengthen(rollouts: Rollouts, short: ShortRuns, stop: int) -> Work[None]:
    """Try the LRs that score alike once more, on runs of `stop` steps."""
    lrs = sorted({*short.alike, short.lr})
    short.stop, short.scores = stop, {}
    yield from train(rollouts, short, lrs)
    short.decide(rollouts.scoring)


def beyond(short: ShortRuns, step: float, top: float, scoring: Scoring) -> float | None:
    """The next LR outwards from the best one; None if that lies between others, or the grid was extended enough.

    Where noise alone tells the LRs apart and none has learned anything, that is upwards from the `top` of the grid: a
    higher LR learns faster.
    """
    low, high = min(short.scores), max(short.scores)
    if len(short.scores) >= MOST:
        return None
    if not math.isfinite(short.losses[short.lr]):
        return low / step
    if low < high and not short.learned(scoring) and scoring.alike(short.scores) == (low, high):
        return high * step if high < top * step ** (HIGHER - 0.5) else None
    if short.lr == low:
        return low / step
    return high * step if short.lr == high else None
