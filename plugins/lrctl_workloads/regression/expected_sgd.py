"""The optimizer of the `exact-linear-regression` workload. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class ExpectedSGD(torch.optim.Optimizer):
    """Moves q, the expected squared errors times their eigenvalues, by one step of SGD in expectation.

    q_k <- (1 - lr l_k)^2 q_k + lr^2 noise l_k^2 sum_j q_j. It looks at no gradient.
    """

    def __init__(self, params: Iterable[Tensor], eigenvalues: Tensor, noise: float) -> None:
        """The eigenvalues l, float64, shape (dim,), and the noise 1/B - 1/D that batches add."""
        super().__init__(params, {"lr": 0.0})
        self.eigenvalues, self.noise = eigenvalues, noise

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for q in group["params"]:
                lr, eigenvalues = group["lr"], self.eigenvalues.to(q)
                q.copy_((1 - lr * eigenvalues) ** 2 * q + lr**2 * self.noise * eigenvalues**2 * q.sum())
