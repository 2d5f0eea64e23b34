"""The Gaussian filter that losses are read through: batches are small, and single losses say little."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SMOOTHING = 10.0
"""Standard deviation of the filter in steps (paper, section 4.2)."""


def final_train_loss(losses: np.ndarray[Any, Any]) -> float:
    """The last value of the losses smoothed with a Gaussian filter of standard deviation 10 steps.

    As scipy.ndimage.gaussian_filter1d(losses, 10)[-1] where all are finite; +inf if none of the last 41 is.
    """
    last = float(filtered(losses)[-1]) if len(losses) else math.nan
    return math.inf if math.isnan(last) else last


def smoothed(losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """All losses after the same filter; NaN where a step's own is not finite, so that a curve ends where losses do."""
    import numpy as np

    return np.where(np.isfinite(losses), filtered(losses), np.nan)


def filtered(losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean of the finite losses around each step by their weights in the filter; NaN where there are none.

    Beyond its ends the series is reflected (d c b a | a b c d), and the filter is cut off at 4 standard deviations.
    """
    import numpy as np

    radius = int(4 * SMOOTHING + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    weights /= weights.sum()
    padded = np.pad(losses.astype(np.float64), radius, mode="symmetric")
    finite = np.isfinite(padded)
    sums = np.correlate(np.where(finite, padded, 0.0), weights)
    seen, missing = (np.correlate(each.astype(np.float64), weights) for each in (finite, ~finite))
    seen[missing == 0] = 1.0  # as it is computed, it may not be 1 to the last bit
    found = np.full(len(sums), np.nan)
    np.divide(sums, seen, out=found, where=seen > 0)
    return found
