"""The LRs that a segment tries."""

from __future__ import annotations

GEOMETRIC = (1e-1, 3.33e-2, 1e-2, 3.33e-3, 1e-3, 3.33e-4, 1e-4, 3.33e-5, 1e-5)
"""The absolute LRs tried where there is no LR to start from (paper, section 3.2.1)."""


def ratios(n: int) -> list[float]:
    """The 2n ratios 0/1, 1/2, ..., (n-1)/n, 1, n/(n-1), ..., 3/2, 2/1, ascending (paper, section 3.2.1).

    >>> ratios(3)
    [0.0, 0.5, 0.6666666666666666, 1.0, 1.5, 2.0]
    """
    return [i / (i + 1) for i in range(n)] + [1.0] + [(i + 1) / i for i in range(n - 1, 0, -1)]


def likely_first(count: int, start: float) -> list[int]:
    """The places of ascending candidates, those first whose loss is likely to be the lowest.

    Of ratios to the LR `start` that is the lowest, LR 0: a falling LR gains most at once. Of an absolute grid, where
    `start` is 0, it lies above the middle.

    >>> likely_first(4, 1e-3), likely_first(9, 0.0)
    ([0, 1, 2, 3], [6, 5, 7, 4, 8, 3, 2, 1, 0])
    """
    likely = 0.0 if start else 0.75 * (count - 1)
    return sorted(range(count), key=lambda place: abs(place - likely))
