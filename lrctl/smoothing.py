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

    As scipy.ndimage.gaussian_filter1d(losses, 10)[-1]: beyond its end the series is reflected (d c b a | a b c d),
    and the filter is cut off at 4 standard deviations. Losses that are not finite are left out; +inf if all are.
    """
    import numpy as np

    losses = losses[np.isfinite(losses)]
    if not len(losses):
        return math.inf
    radius = int(4 * SMOOTHING + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    padded = np.pad(losses.astype(np.float64), radius, mode="symmetric")
    return float(padded[-len(weights) :] @ (weights / weights.sum()))


def smoothed(losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """All losses after the same filter. A step sees the finite losses around it; NaN where its own is not finite.

    As scipy.ndimage.gaussian_filter1d(losses, 10) where all are finite; its last value then is the final train loss.
    """
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    finite = np.isfinite(losses)
    weights = gaussian_filter1d(finite.astype(float), SMOOTHING)
    sums = gaussian_filter1d(np.where(finite, losses, 0.0).astype(float), SMOOTHING)
    found = np.full(len(losses), np.nan)
    np.divide(sums, weights, out=found, where=finite)
    return found
