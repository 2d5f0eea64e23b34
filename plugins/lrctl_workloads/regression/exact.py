"""The `exact-linear-regression` workload: the expected loss of SGD on least squares, without any sampling.

Inputs have a kernel with eigenvalues l_k = 1/k, k = 1 ... D, and batches hold B samples. With p_k the expected squared
error along eigenvector k, which starts at 1 / l_k, an update with LR lr makes it

    p_k <- (1 - lr l_k)^2 p_k + lr^2 (1/B - 1/D) l_k sum_j l_j p_j,

and the loss is mean(l p) / 2, which starts at 1/2. Kept here is q = l p, whose terms are all alike in size.

Source: the linear regression of "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from lrctl_workloads.network import Array, Module, Optimizer, Tensor, check_split

TOGETHER = 256
"""How many runs go through their steps together: their state of 128 numbers each then fits into a core's cache."""


@dataclass(frozen=True)
class ExactRegressionParams:
    dim: Annotated[int, "D: number of eigenvalues, 1, 1/2, ..., 1/D"] = 128
    batch_size: Annotated[int, "B: samples in a batch; the fewer, the more noise"] = 8

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise ValueError(f"dim: must be at least 1, got {self.dim}")
        if not 1 <= self.batch_size <= self.dim:
            raise ValueError(f"batch_size: must be from 1 to dim ({self.dim}), got {self.batch_size}")


@dataclass(frozen=True)
class ExactRegression:
    """A linear regression as its expectation: each run has one outcome, whatever the seed.

    It can be trained like any workload, with an optimizer of its own; and the losses of many runs can be computed at
    once (`expected_losses`), with the gradient with respect to the LRs (`expected_gradient`).
    """

    params: ExactRegressionParams
    seed: int

    @cached_property
    def eigenvalues(self) -> Array:
        """l_k, float64, shape (dim,), the largest first."""
        import numpy as np

        return 1 / np.arange(1, self.params.dim + 1)

    @property
    def noise(self) -> float:
        """1/B - 1/D: how much of the squared error a batch adds as noise."""
        return 1 / self.params.batch_size - 1 / self.params.dim

    def expected_losses(self, lrs: Array) -> Array:
        """The loss after the last step of each of n runs, inf where it overflows: (n, steps) to (n,)."""
        import numpy as np

        if not len(lrs):
            return np.empty(0)
        parts = [lrs[first : first + TOGETHER] for first in range(0, len(lrs), TOGETHER)]
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # numpy lets go of the interpreter while it computes
            losses = np.concatenate(list(threads.map(self.last_losses, parts)))
        return np.where(np.isfinite(losses), losses, np.inf)

    def last_losses(self, lrs: Array) -> Array:
        """The loss after the last step of some runs, which go through their steps together."""
        import numpy as np

        eigenvalues = self.eigenvalues
        squared = eigenvalues**2
        q = np.ones((len(lrs), self.params.dim))
        scratch = np.empty_like(q)
        with np.errstate(over="ignore", invalid="ignore"):
            for lr in lrs.T[:, :, None]:
                added = lr**2 * self.noise * q.sum(1, keepdims=True)
                np.multiply(lr, -eigenvalues, out=scratch)
                scratch += 1
                scratch *= scratch
                q *= scratch
                q += np.multiply(added, squared, out=scratch)
            losses: Array = q.mean(1) / 2
        return losses

    def expected_gradient(self, lrs: Array) -> tuple[float, Array]:
        """The loss after one run's last step, and its derivative with respect to each LR: (steps,) to (steps,)."""
        import numpy as np

        eigenvalues, squared = self.eigenvalues, self.eigenvalues**2
        q = np.ones((len(lrs) + 1, self.params.dim))
        with np.errstate(over="ignore", invalid="ignore"):
            for step, lr in enumerate(lrs):
                q[step + 1] = (1 - lr * eigenvalues) ** 2 * q[step] + lr**2 * self.noise * squared * q[step].sum()
            derivative, onward = np.empty(len(lrs)), np.full(self.params.dim, 0.5 / self.params.dim)
            for step in reversed(range(len(lrs))):
                kept, passed = 1 - lrs[step] * eigenvalues, float(onward @ squared) * self.noise
                derivative[step] = 2 * lrs[step] * passed * q[step].sum() - 2 * onward @ (eigenvalues * kept * q[step])
                onward = onward * kept**2 + lrs[step] ** 2 * passed
        return float(q[-1].mean() / 2), derivative

    def model(self) -> Module:
        """The state q as a module with one parameter, float64, shape (dim,), all 1."""
        import torch

        model = torch.nn.Module()
        model.register_parameter("q", torch.nn.Parameter(torch.ones(self.params.dim, dtype=torch.float64)))
        return model

    def optimizer(self, model: Module) -> Optimizer:
        import torch

        from lrctl_workloads.regression.expected_sgd import ExpectedSGD

        return ExpectedSGD(model.parameters(), torch.from_numpy(self.eigenvalues), self.noise)

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        """No data: the expectation over batches has none."""
        import torch

        return torch.zeros(1)

    def score_batch(self, i: int) -> Tensor:
        """No data either: a score is the loss itself."""
        return self.batch(i)

    def loss(self, model: Module, batch: Tensor) -> Tensor:  # noqa: ARG002
        """The expected loss, mean(q) / 2."""
        q: Any = model.q
        loss: Tensor = q.mean() / 2
        return loss

    def evaluate(self, model: Module, split: str) -> Mapping[str, float]:
        """The expected loss: data that were held out have the same."""
        check_split(split)
        return {"loss": float(self.loss(model, self.batch(0)))}
