"""Lookahead search once more, as plainly as possible: whole runs only, no prefixes, no jobs, no generator, no noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Line = tuple[tuple[int, float], ...]
Score = Callable[[Line], float]
"""The score of a run whose LR goes in straight lines through these knots."""


def plain_lookahead(score: Score, steps: int, p: Any) -> tuple[Line, float] | None:
    """The knots found and their score, with no budget; None if all first LRs or all whole runs diverged."""
    rises = list(dict.fromkeys(0 if share == 0 else max(1, round(share * steps)) for share in p.rise))
    first = rises[0]
    turns = sorted({round(share * steps) for share in p.knot if first < round(share * steps) < steps})
    rises = [first, *(each for each in rises[1:] if each < turns[0])]
    short = max(1 + first, round(p.short_run * steps))
    begin = score(((0, 0.0),))

    def short_run(lr: float) -> float:
        return score(((0, lr), (short, 0.0)) if first == 0 else ((0, 0.0), (first, lr), (short, 0.0)))

    tried = {lr: short_run(lr) for lr in sorted(p.grid)}
    factor = (max(p.grid) / min(p.grid)) ** (1 / (len(tried) - 1)) if len(tried) > 1 else math.sqrt(10)
    while len(tried) < 12:
        lr = min(tried, key=lambda each: tried[each])
        if tried[lr] == math.inf or lr == min(tried):
            further = min(tried) / factor
        elif lr == max(tried):
            further = max(tried) * factor
        else:
            break
        tried[further] = short_run(further)
    top = min(tried, key=lambda each: tried[each])
    if tried[top] == math.inf:
        return None
    useless = begin if tried[top] < begin else math.inf
    limited = any(lr > top for lr in tried) and not tried[min(lr for lr in tried if lr > top)] < useless
    if limited:
        for _ in range(3):
            between = math.sqrt(top * min(lr for lr in tried if lr > top))
            tried[between] = short_run(between)
            top = min(tried, key=lambda each: tried[each])
    rise = first
    lr = 0.75 * top if limited else lowest(tried)[0] * (short / steps) ** 0.3

    found: dict[Line, tuple[float, int, list[float]]] = {}

    def line(rise: int, lrs: list[float]) -> Line:
        at = [rise, *turns]
        begin, end = at[len(lrs) - 1], min(p.floor * max(lrs), lrs[-1])
        down = [(lrs[-1] * (steps - step) + end * (step - begin)) / (steps - begin) for step in at[len(lrs) :]]
        start = [(0, 0.0)] if rise else []
        return (*start, *zip(at, [*lrs, *down], strict=True), (steps, end))

    def best() -> tuple[float, int, list[float]]:
        return min(found.values(), key=lambda each: each[0])

    def improves(rise: int, lrs: list[float]) -> bool:
        knots = line(rise, lrs)
        if knots in found:
            return False
        before = best()[0] if found else math.inf
        found[knots] = (score(knots), rise, lrs)
        return found[knots][0] < before

    def times(lrs: list[float], lr: float) -> list[float]:
        return [lr * (each / lrs[0]) for each in lrs]

    def as_far(rise: int, lrs: list[float], other: Line) -> list[float]:
        return times(lrs, lrs[0] * area(other) / area(line(rise, lrs)))

    def alike(rise: int, lrs: list[float]) -> dict[float, float]:
        same = [round(each / lrs[0], 9) for each in lrs]
        chosen = (each for each in found.values() if each[1] == rise)
        return {
            theirs[0]: loss for loss, _, theirs in chosen if [round(each / theirs[0], 9) for each in theirs] == same
        }

    def bracket(ratio: float) -> dict[float, float]:
        _, rise, lrs = best()
        for _ in range(12):
            losses = alike(rise, lrs)
            at = min(sorted(losses), key=lambda each: losses[each])
            higher, lower = sum(each > at for each in losses), sum(each < at for each in losses)
            if losses[at] == math.inf or (higher and not lower):
                lr = min(losses) / ratio
            elif not higher:
                lr = max(losses) * ratio
            else:
                break
            improves(rise, times(lrs, lr))
        return {each: loss for each, loss in alike(rise, lrs).items() if loss < math.inf}

    def hold() -> None:
        _, rise, lrs = best()
        if len(set(lrs)) > 1:
            return
        for way in (1, -1):
            knots = len(lrs) + way
            while 0 < knots <= len(turns) + 1:
                held = lrs[:1] * knots
                if not improves(rise, held if knots > 1 else as_far(rise, held, line(rise, lrs))):
                    break
                knots += way
            if knots != len(lrs) + way:
                return

    def vertex(losses: dict[float, float]) -> None:
        if not losses:
            return
        (to, gain), (_, rise, lrs) = lowest(losses), best()
        to = lrs[0] * to / min(sorted(losses), key=lambda each: losses[each])
        if gain > 0 and not any(1 / 1.08 < to / each < 1.08 for each in alike(rise, lrs)):
            improves(rise, times(lrs, to))

    def turn(ratio: float) -> None:
        at = [best()[1], *turns]
        for knot in range(len(at) - 1, 0, -1):
            if not limited and at[knot - 1] < steps * (1 - 1 / 3):
                return
            _, rise, lrs = best()
            values = [each for step, each in line(rise, lrs) if step in at]
            for value in (values[knot] * ratio, values[knot] / ratio):
                if improves(rise, [*values[:knot], value, *lrs[knot + 1 :]]):
                    break

    def other_rises() -> None:
        for each in rises:
            _, rise, lrs = best()
            if each != rise:
                improves(each, as_far(each, lrs, line(rise, lrs)))

    ratios = p.ratio[-1:] if limited else p.ratio
    for each in (lr / math.sqrt(ratios[0]), lr * math.sqrt(ratios[0])):
        improves(rise, [each, each])
    level = 0
    while True:
        before = best()
        losses = bracket(ratios[min(level, len(ratios) - 1)])
        if not limited:
            vertex(losses)
        hold()
        vertex(losses)
        other_rises()
        turn(ratios[min(level + 1, len(ratios) - 1)])
        if best() is before and level >= len(ratios) - 1:
            break
        level += 1
    loss, rise, lrs = best()
    return None if loss == math.inf else (line(rise, lrs), loss)


def area(knots: Line) -> float:
    """The integral of the LR over the steps."""
    return sum((knots[i + 1][0] - knots[i][0]) * (knots[i][1] + knots[i + 1][1]) / 2 for i in range(len(knots) - 1))


def lowest(tried: dict[float, float]) -> tuple[float, float]:
    """The lowest point of the parabola through three neighbours, over the logarithm of the LR, and the gain."""
    lrs = sorted(tried)
    top = min(lrs, key=lambda each: tried[each])
    i = lrs.index(top)
    if i in (0, len(lrs) - 1):
        return top, 0.0
    (x, y), (u, v) = ((math.log(lrs[j] / top), tried[lrs[j]] - tried[top]) for j in (i - 1, i + 1))
    a = (v / u - y / x) / (u - x)
    if not 0 < a < math.inf:
        return top, 0.0
    b = y / x - a * x
    return top * math.exp(-b / (2 * a)), b * b / (4 * a)
