"""The moves of a lookahead search: what it changes of the best run so far, and tries as another whole run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from lrctl.contracts.strategy import Work
from lrctl_strategies.lookahead.parabola import through
from lrctl_strategies.lookahead.rollouts import Course, Rollout, Rollouts
from lrctl_strategies.lookahead.short_runs import MOST

CHEAP = 1 / 3
"""Share of a run up to which a rollout counts as cheap: a late knot is tried at that price."""

NEAR = 1.08
"""LRs within this factor of one that was tried are not tried."""

ENOUGH = 2
"""So many LRs on one side of the best are tried, at the most, where none of them is worse by more than the noise."""


def begin(rollouts: Rollouts, rise: int, lr: float, ratio: float) -> Work[None]:
    """Two runs side by side, whose LRs differ by the ratio and have `lr` between them, held until the first turn."""
    held = rollouts.at(rise)[1]
    lrs = [each for each in (lr / math.sqrt(ratio), lr * math.sqrt(ratio)) if rollouts.allows(each)] or [lr]
    runs = [(f"LR {each:.3g} held until step {held}", Course(rise, (each, each))) for each in lrs]
    # The lower one alone where the budget is for one only.
    yield from rollouts.roll(runs if rollouts.affords([course for _, course in runs]) else runs[:1])


def bracket(rollouts: Rollouts, ratio: float) -> Work[Mapping[float, float]]:
    """Multiply and divide all LRs until there are worse ones on both sides of the best. Returns the losses by LR."""
    course = rollouts.best.course
    for _ in range(MOST):
        for told, lr in outwards(rollouts, rollouts.like(course), ratio):
            before = len(rollouts.tried)
            yield from rollouts.attempt(told, course.scaled(lr))
            if len(rollouts.tried) > before:
                break
        else:
            break
    return {lr: rollout.loss for lr, rollout in rollouts.like(course).items() if math.isfinite(rollout.loss)}


def outwards(rollouts: Rollouts, tried: Mapping[float, Rollout], ratio: float) -> list[tuple[str, float]]:
    """The next LRs on the sides of the best one, where they may be better for all that the noise lets one know."""
    lrs = sorted(tried)
    at = lrs.index(min(lrs, key=lambda lr: tried[lr].loss))
    best, up, down = tried[lrs[at]], (f"all LRs x {ratio:g}", lrs[-1] * ratio), (f"all LRs / {ratio:g}", lrs[0] / ratio)
    if not math.isfinite(best.loss):
        return [down]
    curve = through({lr: tried[lr].loss for lr in lrs})

    def closed(side: list[float], lr: float) -> bool:
        noises = [rollouts.scoring.noise(tried[each].score, best.score) for each in side]
        worse = any(tried[each].loss - best.loss > noise for each, noise in zip(side, noises, strict=True))
        return worse or len(side) >= ENOUGH or curve.above(lr) > max(noises, default=math.inf)

    sides = [(lrs[at + 1 :], up), (lrs[:at], down)]
    return [move for side, move in sorted(sides, key=lambda each: len(each[0])) if not closed(side, move[1])]


def vertex(rollouts: Rollouts, losses: Mapping[float, float], least: float) -> Work[None]:
    """Go to where a parabola through losses by LR is lowest, as far as that is from the best of these LRs.

    Unless the parabola promises less than that share of the noise.
    """
    if not losses:
        return
    curve, course = through(losses), rollouts.best.course
    lr = course.lrs[0] * curve.vertex / curve.best
    near = any(1 / NEAR < lr / other < NEAR for other in rollouts.like(course))
    if near or not curve.gain > least * noise(rollouts):
        return
    before = len(rollouts.tried)
    yield from rollouts.attempt(f"LR {lr:.3g}, the lowest point of a parabola", course.scaled(lr))
    if rollouts.tried[before:] and curve.best in rollouts.like(course):
        expected = losses[curve.best] - curve.gain
        rollouts.misfit = max(rollouts.misfit, abs(rollouts.tried[-1].loss - expected))


def noise(rollouts: Rollouts) -> float:
    """What the score of a run must be better by than the best, to be told from it: of the run next to it."""
    best = rollouts.best
    others = [each for each in rollouts.tried if each.knots != best.knots and math.isfinite(each.loss)]
    return rollouts.scoring.noise(min(others, key=lambda each: each.loss).score, best.score) if others else 0.0


def hold(rollouts: Rollouts) -> Work[None]:
    """Hold the LR until a later knot while that is better, else until an earlier one, the first being linear decay.

    What shares a plateau with the best run has its LR; linear decay shares none, and trains as far.
    """
    course = rollouts.best.course
    if not course.level:
        return
    at, now = rollouts.at(course.rise), len(course.lrs)
    for way in (1, -1):
        knots = now + way
        while 0 < knots <= len(at):
            shape = course.held(knots)
            move = f"held until step {at[knots - 1]}" if knots > 1 else "linear decay after the rise"
            if not (yield from rollouts.attempt(move, shape if knots > 1 else rollouts.as_far(shape, course))):
                break
            knots += way
        if knots != now + way:
            return


def rise(rollouts: Rollouts, rises: tuple[int, ...]) -> Work[None]:
    """Let the LR rise for another number of steps, one after the other; such runs share nothing, and train as far."""
    for steps in rises:
        course = rollouts.best.course
        if steps != course.rise:
            other = rollouts.as_far(replace(course, rise=steps), course)
            yield from rollouts.attempt(f"rise of {steps} steps", other)


def turn(rollouts: Rollouts, ratio: float, *, everywhere: bool) -> Work[None]:
    """Multiply, or else divide, the LR at one knot after the other, the last and cheapest first.

    Behind it the LRs are those of the best run, or the straight line to the end where that had one. Unless
    `everywhere`, only knots are tried that are cheap to try.
    """
    at = rollouts.at(rollouts.best.course.rise)
    for knot in reversed(range(1, len(at))):
        if not everywhere and at[knot - 1] < (1 - CHEAP) * rollouts.steps:
            return
        course = rollouts.best.course
        lrs = [rollouts.lr(course, n) for n in range(knot + 1)]
        for told, lr in ((f"x {ratio:g}", lrs[knot] * ratio), (f"/ {ratio:g}", lrs[knot] / ratio)):
            changed = replace(course, lrs=(*lrs[:knot], lr, *course.lrs[knot + 1 :]))
            if (yield from rollouts.attempt(f"LR at step {at[knot]} {told}", changed)):
                break
