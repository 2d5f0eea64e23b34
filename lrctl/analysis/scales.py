"""Whether numbers are better seen on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

DECADES = 100.0
"""By so many times must the highest be above a good part of the others."""

PART = 0.1
"""That part: a schedule that only ends in a ramp to 0 has less of them, and is better seen on a linear axis."""


def lowest_of_decades(values: Sequence[float]) -> float:
    """Where a logarithmic axis should begin; 0 where a linear axis shows the values well.

    Values of 0 have no place on it, and the lowest tenth of the others may lie below its beginning.

    >>> lowest_of_decades([0.0, 0.5, 1.0]), lowest_of_decades([1e-4, 1e-3, 1e-2, 1e-1])
    (0.0, 0.0001)
    """
    positive = sorted(value for value in values if value > 0)
    low = positive[int(PART * len(positive))] if positive else 0.0
    return low if positive and positive[-1] >= DECADES * low else 0.0
