"""Lookahead search: an LR is judged by what the run would be worth with it, once its LR is wound down.

A segment's training loss rewards LRs that are too small, since the noise at a high LR hides progress. So each candidate
is trained on to the end of the run, its LR falling in a straight line to 0 or a floor, and scored there. Such a rollout
resumes from the last knot that it shares with one before it. The best one is kept: it is the answer, and trained
already.

No paper's method: what it is measured to give stands in `lrctl guide lookahead`.
"""

from __future__ import annotations

from itertools import count

from lrctl.contracts.strategy import RunSpec, Search
from lrctl.errors import UsageError
from lrctl_strategies.lookahead.moves import begin, bracket, hold, rise, turn, vertex
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.report import answer
from lrctl_strategies.lookahead.rollouts import Rollouts
from lrctl_strategies.lookahead.scoring import Scoring, batches
from lrctl_strategies.lookahead.short_runs import scale, shortened


def lookahead(p: Lookahead, run: RunSpec) -> Search:
    scoring = Scoring(batches(p.score_batches, run.steps) if p.score_on == "training" else 0)
    rises, turns = knots(p, run.steps)
    rollouts = Rollouts(run.steps, turns, scoring, p.budget, p.max_lr, p.floor)
    short = shortened(p, run.steps, rises[0])
    lr = yield from scale(p, rollouts, short)
    ratios = p.ratio[-1:] if short.limited else p.ratio
    yield from begin(rollouts, short.rise, lr, ratios[0] ** (2 if short.wide else 1))
    for n in count():
        before, (ratio, finer) = rollouts.best, (ratios[min(each, len(ratios) - 1)] for each in (n, n + 1))
        losses = yield from bracket(rollouts, ratio)
        if not short.limited:  # a parabola is no picture of a cliff
            yield from vertex(rollouts, losses, 1.0)
        yield from hold(rollouts)
        yield from vertex(rollouts, losses, 0.25)
        yield from rise(rollouts, rises)
        yield from turn(rollouts, finer, everywhere=short.limited)
        if rollouts.best is before and ratio == ratios[-1]:
            break
    return answer(p, rollouts, short)


def knots(p: Lookahead, steps: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The steps of the rises, as they are given, and those of the later knots at which the LR may turn, ascending."""
    first, *rises = dict.fromkeys(max(int(share > 0), round(share * steps)) for share in p.rise)
    turns = sorted({step for share in p.knot if first < (step := round(share * steps)) < steps})
    if not turns:
        raise UsageError(f"steps: {steps} are too few for a lookahead search with knots at {p.knot}; raise --steps")
    return (first, *(rise for rise in rises if rise < turns[0])), tuple(turns)
