"""Rungs: runs of one length with several LRs, and where the best LR of that length lies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lrctl.contracts.horizon import NINETY
from lrctl.contracts.strategy import Work
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.grids import rounded
from lrctl_strategies.lookahead.parabola import through
from lrctl_strategies.lookahead.scoring import SURE, Score, Scoring
from lrctl_strategies.lookahead.short_runs import BISECTIONS, WIDE
from lrctl_strategies.transfer.ladder import Ladder

FACTOR = 2.25
"""From one LR of a rung to the next."""

MOST = 8
"""So many LRs are tried on a rung at the most."""

CLIFF = 0.1
"""Where the next LR above the best loses more than this share of what training gains, a cliff lies between them."""


@dataclass(frozen=True, slots=True)
class Rung:
    """Runs of `steps` steps.

    Attributes:
        vertex: the LR at which the score is lowest.
        curvature: c in units of the loss: the score is c x^2 higher where the LR is off by a factor e^x; 0 if unknown.
        sd: of the vertex's logarithm, by the noise of the scores.
        alike: the lowest and the highest of LRs that the scores do not tell apart, if they are far apart.
        failed: the next LR above the best, where it ended no better than untrained: only divergence limits the LR.
    """

    steps: int
    scores: Mapping[float, Score] = field(default_factory=dict)
    vertex: float = 0.0
    curvature: float = 0.0
    sd: float = 0.0
    alike: tuple[float, float] | None = None
    failed: float | None = None

    @property
    def best(self) -> float:
        """The best of the LRs that were tried."""
        return min(self.scores, key=lambda lr: self.scores[lr].mean)

    @property
    def above(self) -> float | None:
        """The next LR above the best one."""
        return min((lr for lr in self.scores if lr > self.best), default=None)


def first(ladder: Ladder, stop: int, grid: Sequence[float]) -> Work[Rung]:
    """The LRs of the grid, and further ones."""
    lrs = [lr for lr in sorted(set(grid)) if ladder.allows(lr)]
    scores = yield from ladder.climb(stop, lrs, likely=lrs[len(lrs) // 2])
    return (yield from bracketed(ladder, stop, scores))


def bracketed(ladder: Ladder, stop: int, scores: Mapping[float, Score]) -> Work[Rung]:
    """Try further LRs outwards until the best lies between others."""
    while (lr := outwards(scores)) is not None and ladder.allows(lr):
        scores = {**scores, **(yield from ladder.climb(stop, [lr], Rung(stop, scores).best))}
    check(scores, stop, capped=lr is not None)
    return valley(stop, scores, ladder.scoring)


def outwards(scores: Mapping[float, Score]) -> float | None:
    """The next LR beyond the best one; None if that lies between others, or enough were tried."""
    rung = Rung(0, scores)
    if len(scores) >= MOST:
        return None
    if rung.best == min(scores) or not math.isfinite(scores[rung.best].mean):
        return rounded(min(scores) / FACTOR)
    return rounded(rung.best * FACTOR) if rung.above is None else None


def check(scores: Mapping[float, Score], stop: int, *, capped: bool) -> None:
    """Refuse LRs of which the best is outermost, unless a cap on the LR makes it so."""
    best, lrs = Rung(0, scores).best, sorted(scores)
    if not math.isfinite(scores[best].mean):
        raise NoValidCandidateError(
            f"runs of {stop} steps: all {len(lrs)} LRs diverged, down to {lrs[0]:g}; lower --grid, and check the model "
            "and its data"
        )
    if not capped and best in (lrs[0], lrs[-1]):
        raise NoValidCandidateError(
            f"runs of {stop} steps: of {len(lrs)} LRs from {lrs[0]:g} to {lrs[-1]:g} the best is the outermost, "
            f"{best:g}, so the best LR is not known; give --grid LRs around {best:g}"
        )


def valley(steps: int, scores: Mapping[float, Score], scoring: Scoring) -> Rung:
    """A rung with its lowest point: of the parabola through the best LR and its neighbours.

    Where the scores do not tell LRs apart it is the middle of these.
    """
    rung, curve = Rung(steps, scores), through({lr: score.mean for lr, score in scores.items()})
    low, high = scoring.alike(scores)
    if high >= WIDE * low:
        return replace(rung, vertex=math.sqrt(low * high), sd=half(high / low), alike=(low, high))
    if not curve.a:
        return replace(rung, vertex=rung.best, sd=half(FACTOR))
    lrs = sorted(scores)
    below, above = (lrs[lrs.index(rung.best) + way] for way in (-1, 1))
    noise = scoring.noise(scores[above], scores[below])
    return replace(rung, vertex=curve.vertex, curvature=curve.a, sd=blur(noise, curve.a, above / below))


def half(width: float) -> float:
    """The standard deviation of a logarithm that lies in a range of this factor in 90 of 100 cases."""
    return math.log(width) / 2 / NINETY


def blur(noise: float, curvature: float, width: float) -> float:
    """The standard deviation of a vertex, by that of the slope between two scores whose LRs are a factor apart."""
    return min(half(FACTOR**2), noise / SURE / math.log(width) / (2 * curvature))


def beside(ladder: Ladder, stop: int, middle: float, curvature: float) -> Work[Rung]:
    """Two LRs around one, and the lowest point from their slope and a curvature that is known.

    Where that lies further away than the two are apart, or no curvature is known, further LRs are tried.
    """
    around = (rounded(middle * by) for by in (1 / math.sqrt(FACTOR), math.sqrt(FACTOR)))
    lrs = [lr for lr in around if ladder.allows(lr)]
    scores = yield from ladder.climb(stop, lrs, likely=middle)
    if len(lrs) == 2 and curvature and all(math.isfinite(score.mean) for score in scores.values()):
        (low, a), (high, b) = scores.items()
        x = -(b.mean - a.mean) / math.log(high / low) / (2 * curvature)
        if abs(x) <= math.log(FACTOR):
            sd = blur(ladder.scoring.noise(a, b), curvature, high / low)
            return Rung(stop, scores, math.sqrt(low * high) * math.exp(x), curvature, sd)
    return (yield from bracketed(ladder, stop, scores))


def limited(ladder: Ladder, rung: Rung, untrained: Score) -> Work[Rung]:
    """Halve the gap above the best LR where a cliff lies in it, since a parabola is no picture of one.

    Where the next LR is no better than untrained even then, only divergence limits the LR.
    """
    for _ in range(BISECTIONS):
        if rung.above is None or not loses(rung, untrained, CLIFF):
            break
        lr = math.sqrt(rung.best * rung.above)
        scores = {**rung.scores, **(yield from ladder.climb(rung.steps, [lr], rung.best))}
        rung = valley(rung.steps, scores, ladder.scoring)
    if loses(rung, untrained, 1.0):
        return replace(rung, vertex=rung.best, curvature=0.0, alike=None, failed=rung.above)
    return rung


def loses(rung: Rung, untrained: Score, share: float) -> bool:
    """Whether the next LR above the best loses so much of what training gains."""
    best = rung.scores[rung.best].mean
    return rung.above is not None and not rung.scores[rung.above].mean < best + share * (untrained.mean - best)
