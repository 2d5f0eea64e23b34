"""Lookahead search: an LR is judged by what the run would be worth with it, once its LR is wound down to 0.

A segment's training loss rewards LRs that are too small, since the noise at a high LR hides progress. So each candidate
is trained on to the end of the run, its LR falling in a straight line to 0, and scored there. Such a rollout resumes
from the last knot that it shares with one before it. The best one is kept: it is the answer, and trained already.

No paper's method: what it is measured to give stands in recipes/README.md.
"""

from __future__ import annotations

import math

from lrctl.contracts.strategy import RunSpec, Search, Work
from lrctl.errors import UsageError
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.report import answer
from lrctl_strategies.lookahead.rollouts import Rollouts
from lrctl_strategies.lookahead.short_runs import MOST, ShortRuns, scale, shortened

CHEAP = 1 / 3
"""Share of a run up to which a rollout counts as cheap: a late knot is tried at that price."""


def lookahead(p: Lookahead, run: RunSpec) -> Search:
    rollouts = Rollouts(run.steps, p.score_batches if p.score_on == "training" else 0, p.budget, p.max_lr)
    short = ShortRuns(*shortened(p, run.steps))
    rollouts.at = knots(p, max(short.rises), run.steps)  # refuses too short a run before anything is trained
    lr = yield from scale(p, rollouts, short)
    rollouts.at = knots(p, short.rise, run.steps)
    held = yield from hold(rollouts, lr)
    ratio = p.fine_ratio if short.limited else p.ratio
    up = (short.limited or held != 0) and math.isfinite(rollouts.best.score)
    better = yield from lift(rollouts, ratio, up=up)
    if not better and (short.limited or held is None):
        yield from lift(rollouts, ratio, up=not up)
    yield from turn(rollouts, ratio, everywhere=short.limited)
    return answer(p, rollouts, short)


def knots(p: Lookahead, rise: int, steps: int) -> tuple[int, ...]:
    """The steps at which the LR may turn: the end of the rise, and the knots behind it that are apart."""
    at = {rise, *(step for share in p.knot if rise <= (step := round(share * steps)) < steps)}
    if len(at) < 2:
        raise UsageError(f"steps: {steps} are too few for a lookahead search with knots at {p.knot}; raise --steps")
    return tuple(sorted(at))


def hold(rollouts: Rollouts, lr: float) -> Work[int | None]:
    """Hold the LR until the first knot, the second, ... while that is better.

    Returns how often it was; None if only the first could be tried.
    """
    moves = [(f"hold {lr:.3g} until step {step}", [lr] * n) for n, step in enumerate(rollouts.at[1:], 2)]
    # Side by side, since the first says nothing before there is a second to compare it with.
    first = moves[: 2 if rollouts.affords([lrs for _, lrs in moves[:2]]) else 1]
    scores = [rollout.score for rollout in (yield from rollouts.roll(first))]
    while len(scores) > 1 and scores[-1] < min(scores[:-1]) and (more := moves[len(scores) : len(scores) + 1]):
        ((move, lrs),) = more
        if not (yield from rollouts.attempt(move, lrs)):
            break
        scores.append(rollouts.best.score)
    return scores.index(min(scores)) if len(scores) > 1 else None


def lift(rollouts: Rollouts, ratio: float, *, up: bool) -> Work[bool]:
    """Multiply all LRs while that is better, or divide them, which goes on while all runs diverged.

    Returns whether it was better.
    """
    told, by = (f"all LRs x {ratio:g}", ratio) if up else (f"all LRs / {ratio:g}", 1 / ratio)
    before, lrs = rollouts.best, rollouts.best.lrs
    for _ in range(MOST):
        lrs = tuple(lr * by for lr in lrs)
        better = yield from rollouts.attempt(told, lrs)
        if not better and (up or math.isfinite(rollouts.best.score)):
            break
    return rollouts.best is not before


def turn(rollouts: Rollouts, ratio: float, *, everywhere: bool) -> Work[None]:
    """Multiply, or else divide, the LR at one knot after the other, the last and cheapest first.

    Behind it the LRs are those of the best run, or the straight line to 0 where that had one. Unless `everywhere`, only
    knots are tried that are cheap to try.
    """
    for knot in reversed(range(1, len(rollouts.at))):
        if not everywhere and rollouts.at[knot - 1] < (1 - CHEAP) * rollouts.steps:
            return
        lrs = rollouts.best.lrs
        before, here, after = [rollouts.lr(lrs, n) for n in range(knot)], rollouts.lr(lrs, knot), lrs[knot + 1 :]
        for told, lr in ((f"x {ratio:g}", here * ratio), (f"/ {ratio:g}", here / ratio)):
            if (yield from rollouts.attempt(f"LR at step {rollouts.at[knot]} {told}", [*before, lr, *after])):
                break
