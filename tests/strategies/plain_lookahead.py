"""Lookahead search once more, as plainly as possible: whole runs only, no prefixes, no jobs, no generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Line = tuple[tuple[int, float], ...]
Score = Callable[[Line], float]
"""The score of a run whose LR goes in straight lines through these knots."""


def plain_lookahead(score: Score, steps: int, p: Any) -> tuple[Line, float] | None:
    """The knots found and their score, with no budget; None if all first LRs or all whole runs diverged."""
    rises = [max(1, round(share * steps)) for share in p.rise]
    short = max(1 + max(rises), round(p.short_run * steps))
    begin = score(((0, 0.0),))

    def short_run(rise: int, lr: float) -> float:
        return score(((0, 0.0), (rise, lr), (short, 0.0)))

    tried = {lr: short_run(rises[0], lr) for lr in sorted(p.grid)}
    factor = (max(p.grid) / min(p.grid)) ** (1 / (len(tried) - 1)) if len(tried) > 1 else math.sqrt(10)
    while len(tried) < 12:
        lr = min(tried, key=lambda each: tried[each])
        if tried[lr] == math.inf or lr == min(tried):
            further = min(tried) / factor
        elif lr == max(tried):
            further = max(tried) * factor
        else:
            break
        tried[further] = short_run(rises[0], further)
    top = min(tried, key=lambda each: tried[each])
    if tried[top] == math.inf:
        return None
    limited = any(lr > top for lr in tried) and not tried[min(lr for lr in tried if lr > top)] < begin
    if limited:
        for _ in range(3):
            between = math.sqrt(top * min(lr for lr in tried if lr > top))
            tried[between] = short_run(rises[0], between)
            top = min(tried, key=lambda each: tried[each])
    by_rise: dict[int, float] = {}
    for rise in rises:
        by_rise.setdefault(rise, short_run(rise, top))
    rise = min(by_rise, key=lambda each: by_rise[each])
    lr = 0.75 * top if limited else parabola(tried, top) * (short / steps) ** 0.3
    at = sorted({rise} | {round(share * steps) for share in p.knot if rise < round(share * steps) < steps})

    def line(lrs: list[float]) -> Line:
        down = [lrs[-1] * (steps - step) / (steps - at[len(lrs) - 1]) for step in at[len(lrs) :]]
        values = [*lrs, *down]
        return ((0, 0.0), *zip(at, values, strict=True), (steps, 0.0))

    held = 2
    found = [(score(line([lr] * 2)), [lr] * 2)]
    for n in range(3, len(at) + 1):
        further_held = score(line([lr] * n))
        if further_held < found[-1][0]:
            found.append((further_held, [lr] * n))
            held = n
        else:
            break
    best, lrs = found[-1]

    def improve(candidate: list[float]) -> bool:
        nonlocal best, lrs
        value = score(line(candidate))
        if value < best:
            best, lrs = value, candidate
            return True
        return False

    ratio = p.fine_ratio if limited else p.ratio
    alone = len(at) == 2
    first = ratio if (limited or held > 2) and best < math.inf else 1 / ratio
    if alone and not limited:
        first = 1 / ratio if best == math.inf else ratio
    for way in [first, 1 / first] if limited or alone else [first]:
        moved = False
        scaled = lrs
        for _ in range(12):
            scaled = [each * way for each in scaled]
            if improve(scaled):
                moved = True
            elif way > 1 or best < math.inf:
                break
        if moved:
            break
    for knot in range(len(at) - 1, 0, -1):
        if limited or at[knot - 1] >= steps * (1 - 1 / 3):
            values = [value for _, value in line(lrs)[1:-1]]
            for value in (values[knot] * ratio, values[knot] / ratio):
                if improve([*values[:knot], value, *lrs[knot + 1 :]]):
                    break
    return None if best == math.inf else (line(lrs), best)


def parabola(tried: dict[float, float], top: float) -> float:
    """The lowest point of the parabola through three neighbours, over the logarithm of the LR."""
    lrs = sorted(tried)
    i = lrs.index(top)
    if i in (0, len(lrs) - 1):
        return top
    a, b, c = tried[lrs[i - 1]], tried[lrs[i]], tried[lrs[i + 1]]
    if not math.isfinite(a + c) or a + c == 2 * b:
        return top
    if not 2 / 3 < math.log(lrs[i + 1] / top) / math.log(top / lrs[i - 1]) < 1.5:
        return top
    offset = (a - c) / (a - 2 * b + c) / 2
    return top * math.exp(math.log(lrs[i + 1] / lrs[i - 1]) * offset / 2)
