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
from lrctl_strategies.lookahead.ratios import by_role, ratios_of
from lrctl_strategies.lookahead.report import answer
from lrctl_strategies.lookahead.rollouts import Rollouts
from lrctl_strategies.lookahead.scoring import Scoring, batches
from lrctl_strategies.lookahead.short_runs import scale, shortened
from lrctl_strategies.reference import beside_plain_run


def lookahead(p: Lookahead, run: RunSpec) -> Search:
    scoring = Scoring(batches(p.score_batches, run.left) if p.score_on == "training" else 0, p.objective)
    rises, turns = knots(p, run)
    rollouts = Rollouts(run, turns, scoring, p.budget, p.max_lr, p.floor)
    short, ratios = shortened(p, run, rises[0]), ratios_of(run) if p.ratios else None
    lr = first_lr = yield from scale(p, rollouts, short)
    if ratios:
        rollouts, short, lr = yield from by_role(ratios, rollouts, short, lr)
    steps = p.ratio[-1:] if short.limited else p.ratio
    if not rollouts.tried:
        yield from begin(rollouts, short.rise, lr, steps[0] ** (2 if short.wide else 1))
    for n in count():
        before, (ratio, finer) = rollouts.best, (steps[min(each, len(steps) - 1)] for each in (n, n + 1))
        losses = yield from bracket(rollouts, ratio)
        if not short.limited:  # a parabola is no picture of a cliff
            yield from vertex(rollouts, losses, 1.0)
        yield from hold(rollouts)
        yield from vertex(rollouts, losses, 0.25)
        yield from rise(rollouts, rises)
        yield from turn(rollouts, finer, everywhere=short.limited)
        if rollouts.best is before and ratio == steps[-1]:
            break
    return (yield from beside_plain_run(p, answer(p, rollouts, short, ratios), first_lr, run))


def knots(p: Lookahead, run: RunSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The steps of the rises, as they are given, and those of the later knots at which the LR may turn, ascending."""
    left = run.left
    first, *rises = dict.fromkeys(run.start + max(int(share > 0), round(share * left)) for share in p.rise)
    turns = sorted({step for share in p.knot if first < (step := run.start + round(share * left)) < run.steps})
    if not turns:
        raise UsageError(f"steps: {left} are too few for a lookahead search with knots at {p.knot}; raise --steps")
    return (first, *(rise for rise in rises if rise < turns[0])), tuple(turns)
