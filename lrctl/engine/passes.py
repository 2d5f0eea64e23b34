"""Passes over a batch, piece by piece: forward, backward, and those that score or evaluate a model.

Imports torch.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import Scored, Weighted, Workload
from lrctl.engine.batches import pieces, rows, to
from lrctl.errors import UsageError


class Passes:
    """A workload's new model on its device, with its passes over batches as a train spec wants them."""

    def __init__(self, workload: Workload, spec: TrainSpec) -> None:
        self.workload, self.spec, self.device = workload, spec, torch.device(spec.device)
        self.seed("model")
        self.model = workload.model().to(self.device)

    def seed(self, purpose: int | str) -> None:
        seed_all(self.spec.seed, purpose, self.device)

    def precision(self) -> AbstractContextManager[Any]:
        return FULL if self.spec.dtype == "float32" else torch.autocast(self.device.type, torch.bfloat16)

    def batch(self, step: int) -> Any:
        """The batch of a step; from here on random numbers are those of that step."""
        self.seed(step)
        with self.precision():
            return self.workload.batch(step)

    def loss(self, piece: Any) -> torch.Tensor:
        with self.precision():
            return self.workload.loss(self.model, to(piece, self.device))

    def backward(self, batch: Any) -> torch.Tensor:
        """Add the gradient of a batch's loss to the parameters' gradients. Returns the loss, detached."""

        def part(piece: Any, share: float) -> torch.Tensor:
            loss = self.loss(piece) * share
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        if self.spec.micro_batches > 1:
            return self.total(batch, part)
        loss = self.loss(batch)  # as it is: a product with a share of 1 would be a node more in the graph
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def forward(self, batch: Any, what: str = "batch") -> torch.Tensor:
        """The loss of a batch, detached: the bits that `backward` gives, and the same changes of the model's buffers.

        `what` names the batch in errors.
        """
        # Not under no_grad: torch may choose other kernels there, and compiles another graph.
        if self.spec.micro_batches > 1:
            return self.total(batch, lambda piece, share: self.loss(piece).detach() * share, what)
        return self.loss(batch).detach()

    def total(self, batch: Any, part: Callable[[Any, float], torch.Tensor], what: str = "batch") -> torch.Tensor:
        """The sum over the pieces of a batch of what `part` gives for a piece and its share.

        A piece counts by its rows, or by what the workload says (`Weighted`): so the weighted mean of the pieces'
        losses is the loss of the batch, where nothing, like batch normalisation, mixes rows.
        """
        weight = self.workload.weight if isinstance(self.workload, Weighted) else rows
        cut = pieces(batch, self.spec.micro_batches, f"workload {self.spec.workload}: {what}", weight)
        return torch.stack([part(*piece) for piece in cut]).sum()

    @torch.no_grad()
    def loss_again(self, step: int) -> torch.Tensor:
        """The loss of batch `step` with the weights as they are now; it leaves no trace in the model's buffers."""
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        loss = self.forward(self.batch(step))
        for buffer, before in buffers:
            buffer.copy_(before)
        return loss

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The model as it is evaluated: in evaluation mode, without gradients, in the spec's precision."""
        self.model.eval()
        try:
            with torch.no_grad(), self.precision():
                yield
        finally:
            self.model.train()

    def evaluate(self, split: str) -> dict[str, float]:
        """The workload's metrics on a split; one that is not finite is +inf."""
        self.seed(split)
        with self.frozen():
            found = self.workload.evaluate(self.model, split)
            metrics = {name: finite(float(value)) for name, value in found.items()}
        if "loss" not in metrics:
            raise UsageError(
                f"{type(self.workload).__name__}.evaluate: must return a metric 'loss', got {sorted(metrics)}"
            )
        return metrics

    def score(self, n: int) -> float:
        """The mean loss over score batches 0 to n - 1; +inf if it is not finite."""
        if not isinstance(self.workload, Scored):
            raise UsageError(
                f"{type(self.workload).__name__} has no method score_batch(i), which gives training data that are kept "
                "aside for scores; write one, or let the search score by validation loss (--score-on validation)"
            )
        self.seed("score")
        with self.frozen():
            batches = ((self.workload.score_batch(i), f"score batch {i}") for i in range(n))
            return finite(sum(float(self.forward(*each)) for each in batches) / n)


FULL: AbstractContextManager[Any] = nullcontext()


def finite(value: float) -> float:
    """The value, or +inf for NaN and both infinities: nothing that is not finite is ever the lowest."""
    return value if math.isfinite(value) else math.inf


def seed_all(seed: int, purpose: int | str, device: torch.device) -> None:
    """Seed torch's, numpy's and Python's random numbers from (seed, step or name of a purpose)."""
    # Hashed, since torch's CPU generator looks at the low 32 bits of a seed only.
    word = int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:8], "little") >> 1
    random.seed(word)
    np.random.seed(word & 0xFFFFFFFF)
    if device.type == "cpu":
        torch.default_generator.manual_seed(word)  # torch.manual_seed looks for other devices at every step
    else:
        torch.manual_seed(word)
