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


def batch_of(workload: Workload, spec: TrainSpec, step: int) -> Any:
    """The batch of a step; from here on random numbers are those of that step."""
    device = torch.device(spec.device)
    seed_all(spec.seed, step, device)
    with precision(spec.dtype, device):
        return workload.batch(step)


def backward(workload: Workload, model: torch.nn.Module, spec: TrainSpec, batch: Any) -> torch.Tensor:
    """Add the gradient of a batch's loss to the parameters' gradients, piece by piece. Returns the loss, detached."""

    def part(piece: Any, share: float) -> torch.Tensor:
        loss = loss_of(workload, model, spec, piece) * share
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return total(workload, spec, batch, part)


def forward(
    workload: Workload, model: torch.nn.Module, spec: TrainSpec, batch: Any, what: str = "batch"
) -> torch.Tensor:
    """The loss of a batch, detached: the same bits as `backward` gives, and the same changes of the model's buffers."""

    # Not under no_grad: torch may choose other kernels there, and compiles another graph.
    def part(piece: Any, share: float) -> torch.Tensor:
        return loss_of(workload, model, spec, piece).detach() * share

    return total(workload, spec, batch, part, what)


def total(
    workload: Workload, spec: TrainSpec, batch: Any, part: Callable[[Any, float], torch.Tensor], what: str = "batch"
) -> torch.Tensor:
    """The sum over the pieces of a batch, named `what` in errors, of what `part` gives for a piece and its share.

    A piece counts by its rows, or by what the workload says (`Weighted`): so the weighted mean of the pieces' losses
    is the loss of the batch, where nothing, like batch normalisation, mixes rows.
    """
    if spec.micro_batches == 1:
        return part(batch, 1.0)
    weight = workload.weight if isinstance(workload, Weighted) else rows
    cut = pieces(batch, spec.micro_batches, f"workload {spec.workload}: {what}", weight)
    return torch.stack([part(*piece) for piece in cut]).sum()


def loss_of(workload: Workload, model: torch.nn.Module, spec: TrainSpec, batch: Any) -> torch.Tensor:
    device = torch.device(spec.device)
    with precision(spec.dtype, device):
        return workload.loss(model, to(batch, device))


@torch.no_grad()
def loss_again(workload: Workload, model: torch.nn.Module, spec: TrainSpec, step: int) -> torch.Tensor:
    """The loss of batch `step` with the weights as they are now; it leaves no trace in the model's buffers."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    loss = forward(workload, model, spec, batch_of(workload, spec, step))
    for buffer, before in buffers:
        buffer.copy_(before)
    return loss


def evaluate(workload: Workload, model: torch.nn.Module, split: str) -> dict[str, float]:
    """The workload's metrics on a split; one that is not finite is +inf."""
    metrics = {name: finite(float(value)) for name, value in workload.evaluate(model, split).items()}
    if "loss" not in metrics:
        raise UsageError(f"{type(workload).__name__}.evaluate: must return a metric 'loss', got {sorted(metrics)}")
    return metrics


def score(workload: Workload, model: torch.nn.Module, spec: TrainSpec, n: int) -> float:
    """The mean loss of the model as it is over score batches 0 to n - 1, each in pieces; +inf if it is not finite."""
    if not isinstance(workload, Scored):
        raise UsageError(
            f"{type(workload).__name__} has no method score_batch(i), which gives training data that are kept aside "
            "for scores; write one, or let the search score by validation loss (--score-on validation)"
        )
    seed_all(spec.seed, "score", torch.device(spec.device))
    losses = (forward(workload, model, spec, workload.score_batch(i), f"score batch {i}") for i in range(n))
    return finite(sum(map(float, losses)) / n)


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


def precision(dtype: str, device: torch.device) -> AbstractContextManager[Any]:
    return nullcontext() if dtype == "float32" else torch.autocast(device.type, torch.bfloat16)


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()
