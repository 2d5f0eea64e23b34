"""What the LR of a search is where param groups have several."""

from __future__ import annotations

from collections.abc import Sequence

MANY = 6
"""Of more different scales only the lowest and the highest are told."""


def told(scales: Sequence[float]) -> str:
    """What to say of param groups whose LR is the schedule's times these scales.

    >>> told([1.0, 8.0, 0.5, 8.0])
    'param groups train with 0.5, 1 and 8 times the LRs that are told; lrctl list --roles tells which'
    """
    *others, last = (f"{scale:.3g}" for scale in sorted(set(scales)))
    words = f"{', '.join(others)} and {last}" if others else last
    if len(others) >= MANY:
        words = f"{others[0]} to {last}"
    return f"param groups train with {words} times the LRs that are told; lrctl list --roles tells which"
