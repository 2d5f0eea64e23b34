"""The short runs that a lookahead search begins with: the scale of the LR, and how fast it may rise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.rollouts import Rollouts

SHRINK = 0.3
"""The best LR of a run is taken to be that of a short one times (share of the run) ** this, where noise limits it."""

MOST = 12
"""How many first LRs are tried before the grid is extended no further."""

BISECTIONS = 3
"""How often the gap between the best LR and the next higher one, which diverged, is halved."""

EVEN = 1.5
"""How unequal the gaps beside the best LR may be, as log LR, for a parabola to be laid through it."""

HELD = 0.75
"""Where only divergence limits the LR: the share, of the largest that a short run stands, that a long one can hold."""


@dataclass(slots=True)
class ShortRuns:
    """The short runs: 0 to the LR over the rise, then in a straight line to 0.

    Attributes:
        stop: the step at which they end.
        rises: the steps of the rises, that which the LRs are tried with first.
        untrained: the score before any training.
        scores: by the steps of the rise and the LR.
        lr: at which the rises were compared.
        failed: the next higher LR, where it ended no better than it had begun.
    """

    stop: int
    rises: tuple[int, ...]
    untrained: float = math.inf
    scores: dict[tuple[int, float], float] = field(default_factory=dict)
    rise: int = 0
    lr: float = 0.0
    failed: float | None = None

    @property
    def limited(self) -> bool:
        """Whether only divergence limits the LR."""
        return self.failed is not None

    def of(self, rise: int) -> dict[float, float]:
        return {lr: score for (each, lr), score in self.scores.items() if each == rise}

    def best(self, rise: int) -> float:
        scores = self.of(rise)
        return min(scores, key=lambda lr: scores[lr])


def shortened(p: Lookahead, steps: int) -> tuple[int, tuple[int, ...]]:
    rises = tuple(dict.fromkeys(max(1, round(share * steps)) for share in p.rise))
    stop = max(1 + max(rises), round(p.short_run * steps))
    if stop >= steps:
        raise UsageError(f"steps: {steps} are too few for a lookahead search; raise --steps")
    return stop, rises


def scale(p: Lookahead, rollouts: Rollouts, short: ShortRuns) -> Work[float]:
    """Try LRs, then rises, on short runs. Returns the LR for the whole run; `short` takes in what was found."""
    first = short.rises[0]
    untrained = rollouts.scored(SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),)), checkpoint=False))
    (result,) = yield Batch("the model before any training", [untrained], judge=False)
    short.untrained = rollouts.score(result)
    rollouts.spent_steps += rollouts.scoring
    yield from train(rollouts, short, [(first, lr) for lr in sorted(set(p.grid)) if rollouts.allows(lr)])
    # The factor from one LR of the grid to the next, in the mean.
    step = (max(p.grid) / min(p.grid)) ** (1 / (len(set(p.grid)) - 1)) if len(set(p.grid)) > 1 else 10**0.5
    while (further := beyond(short, first, step)) is not None and rollouts.allows(further):
        yield from train(rollouts, short, [(first, further)])
    short.lr = short.best(first)
    if not math.isfinite(short.scores[first, short.lr]):
        raise NoValidCandidateError(
            f"first LRs: all {len(short.scores)} diverged, down to {min(lr for _, lr in short.scores):g}; lower "
            "--grid, and check the model and its data"
        )
    above = min((lr for _, lr in short.scores if lr > short.lr), default=None)
    if above is not None and not short.scores[first, above] < short.untrained:
        short.failed = above
    for _ in range(BISECTIONS if short.limited else 0):
        higher = min(lr for _, lr in short.scores if lr > short.lr)
        yield from train(rollouts, short, [(first, math.sqrt(short.lr * higher))])
        short.lr = short.best(first)
    yield from train(rollouts, short, [(rise, short.lr) for rise in short.rises[1:]])
    short.rise = min(short.rises, key=lambda rise: short.scores[rise, short.lr])
    share = short.stop / rollouts.steps
    lr = HELD * short.lr if short.limited else vertex(short.of(first)) * share**SHRINK
    return lr if rollouts.max_lr is None else min(lr, rollouts.max_lr)


def train(rollouts: Rollouts, short: ShortRuns, wanted: Sequence[tuple[int, float]]) -> Work[None]:
    if not wanted:
        return
    stop = short.stop
    ramps = [PiecewiseLinear(((0, 0.0), (rise, lr), (stop, 0.0))) for rise, lr in wanted]
    jobs = [rollouts.scored(SegmentJob(0, stop, ramp, checkpoint=False)) for ramp in ramps]
    told = ", ".join(f"LR {lr:.3g} after {rise} steps" for rise, lr in wanted)
    results = yield Batch(f"short runs of {stop} steps: {told}", jobs, judge=False)
    short.scores |= {each: rollouts.score(result) for each, result in zip(wanted, results, strict=True)}
    rollouts.spent_steps += len(jobs) * (stop + rollouts.scoring)


def beyond(short: ShortRuns, rise: int, step: float) -> float | None:
    """The next LR outwards from the best one; None if that lies between others, or the grid was extended enough."""
    scores = short.of(rise)
    best, low, high = short.best(rise), min(scores), max(scores)
    if len(scores) >= MOST:
        return None
    if best == low or not math.isfinite(scores[best]):
        return low / step
    return high * step if best == high else None


def vertex(scores: Mapping[float, float]) -> float:
    """The LR at which the parabola through the best score and its neighbours, over log LR, is lowest.

    The best LR itself where it has no two neighbours with finite scores, both at about the same factor from it.
    """
    lrs = sorted(scores)
    at = lrs.index(min(scores, key=lambda lr: scores[lr]))
    if not 0 < at < len(lrs) - 1:
        return lrs[at]
    below, best, above = (scores[lr] for lr in lrs[at - 1 : at + 2])
    down, up = math.log(lrs[at] / lrs[at - 1]), math.log(lrs[at + 1] / lrs[at])
    if not math.isfinite(below + above) or below + above == 2 * best or not 1 / EVEN < up / down < EVEN:
        return lrs[at]
    offset = (below - above) / (below - 2 * best + above) / 2
    return lrs[at] * math.exp(math.log(lrs[at + 1] / lrs[at - 1]) * offset / 2)
