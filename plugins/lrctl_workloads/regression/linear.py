"""The `linear-regression` workload: least squares that trains in microseconds a step.

y = <w*, x> + noise * z with x ~ N(0, diag(1, 1/2, ..., 1/dim)), w* ~ N(0, I) and z ~ N(0, 1).
The weights start at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from lrctl_workloads.network import Array, Batch, Module, Tensor, check_split

if TYPE_CHECKING:
    from numpy.random import RandomState

STREAMS = {"truth": 0, "training": 1, "score": 2, "validation": 3, "test": 4}
"""Each use of random numbers has a stream of its own, so no two share a draw."""
HELD_OUT = 1024


@dataclass(frozen=True)
class LinearRegressionParams:
    dim: Annotated[int, "number of weights; direction k has variance 1/k"] = 16
    batch_size: Annotated[int, "samples in a batch, drawn freshly for each step"] = 8
    noise: Annotated[float, "standard deviation of the noise; half its square is the least loss"] = 0.1

    def __post_init__(self) -> None:
        for name in ("dim", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise: must be finite and at least 0, got {self.noise}")


@dataclass(frozen=True)
class LinearRegression:
    """A linear regression. A batch is (x, y), float32 of shapes (batch_size, dim) and (batch_size,)."""

    params: LinearRegressionParams
    seed: int

    def model(self) -> Module:
        """A linear map without a bias, all weights 0."""
        import torch

        model = torch.nn.Linear(self.params.dim, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        return model

    def batch(self, step: int) -> Batch:
        return self.draw("training", step, self.params.batch_size)

    def score_batch(self, i: int) -> Batch:
        """Batch i of a stream that is used for scoring only; it never ends."""
        return self.draw("score", i, self.params.batch_size)

    def loss(self, model: Module, batch: Batch) -> Tensor:
        x, y = batch
        error: Tensor = model(x).squeeze(-1) - y
        return 0.5 * error.square().mean()

    def evaluate(self, model: Module, split: str) -> Mapping[str, float]:
        """The loss on 1024 samples of the split, always the same."""
        import torch

        check_split(split)
        device = next(model.parameters()).device
        x, y = self.draw(split, 0, HELD_OUT)
        with torch.no_grad():
            return {"loss": float(self.loss(model, (x.to(device), y.to(device))))}

    @cached_property
    def truth(self) -> Array:
        """w*, float64, shape (dim,)."""
        return self.random(STREAMS["truth"]).standard_normal(self.params.dim)

    def random(self, *numbers: int) -> RandomState:
        """The legacy generator: numpy promises that its stream never changes."""
        import numpy as np

        return np.random.RandomState([self.seed & 0xFFFFFFFF, *numbers])

    def draw(self, stream: str, number: int, n: int) -> Batch:
        import numpy as np
        import torch

        random = self.random(STREAMS[stream], number)
        x = random.standard_normal((n, self.params.dim)) / np.sqrt(np.arange(1, self.params.dim + 1))
        y = x @ self.truth + self.params.noise * random.standard_normal(n)
        return torch.from_numpy(x.astype("float32")), torch.from_numpy(y.astype("float32"))
