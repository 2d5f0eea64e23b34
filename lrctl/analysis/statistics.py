"""What can be said of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

LEVEL = 0.05
"""The level of a verdict, and 1 - that of an interval that stands alone."""

ENOUGH = 3
"""Of fewer seeds the test shows next to nothing: with two, the mean must be 13 times its standard error."""


def paired(values: Sequence[float], level: float = LEVEL) -> tuple[tuple[float, float] | None, float | None]:
    """The t interval of the mean of paired differences, at 1 - `level`, and p of the hypothesis that it is 0.

    Both are None for fewer than two, and where one is not finite: then nothing can be said.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None, None
    from scipy.special import stdtr, stdtrit

    n, mean = len(values), fmean(values)
    error = stdev(values) / math.sqrt(n)
    half = float(stdtrit(n - 1, 1 - level / 2)) * error
    p = 2 * float(stdtr(n - 1, -abs(mean) / error)) if error else float(mean == 0)
    return (mean - half, mean + half), p


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: the i-th smallest of m values of p is multiplied by m - i + 1; None stays None."""
    order = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    found: list[float | None] = [None] * len(ps)
    floor = 0.0
    for rank, (p, i) in enumerate(order):
        floor = max(floor, min(1.0, (len(order) - rank) * p))
        found[i] = floor
    return found


class PairedTest(NamedTuple):
    """What `paired` says of a group of differences, and p after Holm's correction over all groups.

    The interval is as wide as agrees with the corrected p: it holds 0 where that is above `LEVEL`, and not elsewhere.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None


def paired_tests(groups: Sequence[Sequence[float]]) -> list[PairedTest]:
    """The paired t test of each group of differences; the mean of none, or of both infinities, is NaN."""
    means = [fmean(group) if group and not {math.inf, -math.inf} <= {*group} else math.nan for group in groups]
    tested = list(map(paired, groups))
    corrected = holm([p for _, p in tested])
    found = []
    for group, mean, (interval, p), p_holm in zip(groups, means, tested, corrected, strict=True):
        if p and p_holm and p_holm > p:
            interval, _ = paired(group, LEVEL * p / p_holm)
        found.append(PairedTest(mean, interval, p, p_holm))
    return found


def verdict(mean: float, p: float | None, n: int) -> str:
    """What n paired differences, of which less is better, say: `better`, `worse`, or why nothing is shown.

    A difference is shown where p is at most `LEVEL`: p = `LEVEL` itself is enough.

    Args:
        mean: of the differences.
        p: as `paired_tests` corrects it; None: nothing can be said.
        n: how many differences there are, one for each seed.
    """
    if p is None:
        return ("no shared seed", "one seed", "not finite")[min(n, 2)] + ": no statement"
    if p > LEVEL:
        return "no difference shown" if n >= ENOUGH else f"{n} seeds are too few to tell"
    return "better" if mean < 0 else "worse"


def sign_test(positive: int, negative: int) -> float:
    """The p value of the two-sided sign test: that both signs are equally likely. Zeros are to be left out.

    >>> sign_test(9, 1) == 22 / 1024
    True
    """
    n = positive + negative
    tail = sum(math.comb(n, k) for k in range(min(positive, negative) + 1))
    return min(1.0, float(2 * tail / 2**n))
