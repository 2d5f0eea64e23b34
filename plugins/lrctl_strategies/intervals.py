"""Intervals that assume no distribution: of a median, and of a distribution function."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.analysis.statistics import LEVEL

RESAMPLES = 2000


def of_median(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % bootstrap percentile interval of the median; None for fewer than two values, or if some are not finite.

    With few values it is little more than their range. The same values always give the same interval.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    import numpy as np

    # The legacy generator: numpy promises that its stream never changes.
    drawn = np.random.RandomState(0).randint(len(values), size=(RESAMPLES, len(values)))
    medians = np.median(np.asarray(values)[drawn], axis=1)
    low, high = np.quantile(medians, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def band(n: int) -> float:
    """Half the height of the 95 % band around an empirical distribution function of n values.

    sqrt(ln(2 / alpha) / (2 n)), by the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant.

    >>> round(band(100), 4)
    0.1358
    """
    return math.sqrt(math.log(2 / LEVEL) / (2 * n))
