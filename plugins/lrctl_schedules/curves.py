"""Curves through points (x, y): straight lines, and PCHIP, a smooth curve that never leaves the range of its points.

PCHIP is a cubic between each two points, with slopes such that it rises only where the points do. Each function is pure
and uses only `math` and its neighbours here: an export carries their source along.

Source: Fritsch & Carlson 1980 (Monotone Piecewise Cubic Interpolation); the slopes are those of Fritsch & Butland 1984,
and at the ends those of Moler 2004 (Numerical Computing with MATLAB, chapter 3), as in scipy's `PchipInterpolator`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

Point = tuple[float, float]


def piecewise_linear(x: float, points: Iterable[Point]) -> float:
    """The straight lines through `points`, ascending in x, at a place between the first and the last.

    Where several points share a place, the line jumps; the first of them holds at that place itself.

    >>> jump = ((0.0, 1.0), (0.5, 1.0), (0.5, 0.25), (1.0, 0.25))
    >>> [piecewise_linear(x, jump) for x in (0.0, 0.5, 0.75, 1.0)]
    [1.0, 1.0, 0.25, 0.25]
    """
    x0, y0 = 0.0, 0.0
    for x1, y1 in points:
        if x <= x1:
            f = (x - x0) / (x1 - x0) if x < x1 else 1.0
            return (1 - f) * y0 + f * y1
        x0, y0 = x1, y1
    return y0


def merge_close_points(points: Iterable[Point]) -> list[Point]:
    """`points`, ascending in x, where those less than 1e-9 from one kept before are one with it: the higher y holds.

    >>> merge_close_points([(0.0, 0.5), (0.0, 1.0), (1.0, 0.0)])
    [(0.0, 1.0), (1.0, 0.0)]
    """
    kept: list[Point] = []
    last = -math.inf
    for point in points:
        if point[0] - last < 1e-9:
            kept[-1] = (last, max(kept[-1][1], point[1]))
        else:
            kept += [point]
            last = point[0]
    return kept


def pchip(x: float, knots: Sequence[Point]) -> float:
    """The PCHIP curve through `knots`, strictly ascending in x; level before the first and after the last.

    Exact at each knot, and never above or below both of the knots around x.

    >>> [pchip(x, ((0.0, 0.0), (1.0, 1.0), (3.0, 1.0))) for x in (0.0, 0.25, 1.0, 2.0)]
    [0.0, 0.34375, 1.0, 1.0]
    """
    if x <= knots[0][0]:
        return knots[0][1]
    if x >= knots[-1][0]:
        return knots[-1][1]
    i = 1
    while knots[i][0] < x:
        i += 1
    return cubic(x, knots[i - 1], knots[i], *slopes(knots, i))


def pchips(xs: Iterable[float], knots: Sequence[Point]) -> list[float]:
    """`pchip` at several places, with the same bits; the slopes are worked out once."""
    pieces = [(knots[i - 1], knots[i], *slopes(knots, i)) for i in range(1, len(knots))]
    (first, y_first), *_, (last, y_last) = knots
    ends = [x for x, _ in knots[1:]]
    return [y_first if x <= first else y_last if x >= last else cubic(x, *pieces[bisect_left(ends, x)]) for x in xs]


def cubic(x: float, start: Point, end: Point, left: float, right: float) -> float:
    """The cubic from `start` to `end`, which has the slopes `left` and `right` there."""
    (x0, y0), (x1, y1) = start, end
    f = (x - x0) / (x1 - x0)
    g = f * f * (3 - 2 * f)
    y = (1 - g) * y0 + g * y1 + (x1 - x0) * f * (1 - f) * ((1 - f) * left - f * right)
    low, high = (y0, y1) if y0 < y1 else (y1, y0)
    # Rounding must not lift the curve above its peak.
    return low if y < low else min(y, high)


def slopes(knots: Sequence[Point], i: int) -> tuple[float, float]:
    """The slopes of the PCHIP curve at knots `i` - 1 and `i`."""
    h, d = piece(knots, i)
    before = piece(knots, i - 1) if i > 1 else None
    after = piece(knots, i + 1) if i + 1 < len(knots) else None
    if before and after:
        return inner_slope(*before, h, d), inner_slope(h, d, *after)
    if after:
        return end_slope(h, d, *after), inner_slope(h, d, *after)
    if before:
        return inner_slope(*before, h, d), end_slope(h, d, *before)
    return d, d


def piece(knots: Sequence[Point], i: int) -> tuple[float, float]:
    """The length of the straight piece that ends in knot `i`, and its slope."""
    (x0, y0), (x1, y1) = knots[i - 1], knots[i]
    return x1 - x0, (y1 - y0) / (x1 - x0)


def inner_slope(h0: float, d0: float, h1: float, d1: float) -> float:
    """The slope between two pieces of these lengths and slopes: a weighted harmonic mean, 0 if their signs differ."""
    if not (d0 > 0 < d1 or d0 < 0 > d1):
        return 0.0
    w0, w1 = h0 + 2 * h1, 2 * h0 + h1
    return (w0 + w1) / (w0 / d0 + w1 / d1)


def end_slope(h0: float, d0: float, h1: float, d1: float) -> float:
    """The slope at the end of the piece (h0, d0), which (h1, d1) is next to.

    It is that of the parabola through the three points, bounded so that the curve does not turn.
    """
    found = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    if not (found > 0 < d0 or found < 0 > d0):
        return 0.0
    turns = not (d0 > 0 < d1 or d0 < 0 > d1)
    return 3 * d0 if turns and abs(found) > 3 * abs(d0) else found
