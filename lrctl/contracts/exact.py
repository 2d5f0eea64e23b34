"""Contract: a workload whose runs have a closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Exact(Protocol):
    """A workload whose runs have a closed form: what loss any LRs lead to is computed, many runs at once.

    Training the same LRs as a job must end with the same loss, to rounding.
    """

    def expected_losses(self, lrs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The loss after the last step of each of n runs, inf if it overflows: float64 (n, steps) to (n,)."""

    def expected_gradient(self, lrs: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        """The loss after one run's last step, and its gradient with respect to each LR: (steps,) to (steps,)."""
