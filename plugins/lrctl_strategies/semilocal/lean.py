"""Which candidates of a segment a lean search tries: few of them, where the choice is likely to be decided.

Everything is read from two questions: which candidate tried has the lowest loss, and which are within eps of it. So a
job that was stopped, being above that, tells as much as one that was trained to its end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

VERIFIED = 2
"""So many candidates above the pick are always tried."""


def first_of(lrs: Sequence[float], start: float) -> list[int]:
    """The first candidates to try of ascending LRs: ratios 0, 1/2, 1 and 2 to `start`.

    Of an absolute grid, where `start` is 0, they are both ends, the middle, and the place between it and the top.

    >>> first_of([0.0, 0.5, 2 / 3, 1.0, 1.5, 2.0], 1.0), first_of([1e-4, 1e-3, 1e-2, 1e-1, 1.0], 0.0)
    ([0, 1, 3, 5], [0, 2, 3, 4])
    """
    last = len(lrs) - 1
    if start:
        wanted = [min(range(len(lrs)), key=lambda i: abs(lrs[i] - ratio * start)) for ratio in (0.0, 0.5, 1.0, 2.0)]
    else:
        wanted = [round(last * share) for share in (0.0, 0.5, 0.75, 1.0)]
    return sorted(set(wanted))


def next_of(losses: Mapping[int, float], count: int, limit: Callable[[float], float]) -> list[int]:
    """The candidates to try next, of `count` in ascending order; none if the choice is made.

    Between the lowest loss and its neighbours tried, and between the largest LR within eps and the next one tried, the
    gaps are halved until they are closed. Where the losses have one minimum, that finds the choice among all.

    Args:
        losses: of the candidates tried so far; +inf if diverged or stopped.
        count: how many candidates there are.
        limit: the largest loss that may be chosen where the lowest is the one given.
    """
    lowest = min(losses.values())
    if not math.isfinite(lowest):
        return [i for i in range(count) if i not in losses]
    best = max(i for i, loss in losses.items() if loss == lowest)
    pick = max(i for i, loss in losses.items() if loss <= limit(lowest))
    gaps = [*gaps_beside(best, losses), *(gap for gap in gaps_beside(pick, losses) if gap[0] == pick)]
    halves = sorted({(low + high) // 2 for low, high in gaps})
    return halves or [i for i in range(pick + 1, min(pick + 1 + VERIFIED, count)) if i not in losses]


def gaps_beside(i: int, tried: Mapping[int, float]) -> Iterator[tuple[int, int]]:
    """The neighbours tried of candidate i with i, where candidates between the two were not tried."""
    below, above = (j for j in tried if j < i), (j for j in tried if j > i)
    for low, high in ((max(below, default=i), i), (i, min(above, default=i))):
        if high - low > 1:
            yield low, high
