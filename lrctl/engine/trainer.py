"""The training loop.

Imports torch.
"""

from __future__ import annotations

import copy
import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.workload import Scored, Weighted, Workload
from lrctl.engine import optimizers
from lrctl.engine.batches import pieces, rows, to
from lrctl.engine.early_stopping import PartialMean
from lrctl.engine.lr_control import Control
from lrctl.errors import UsageError


@dataclass(slots=True)
class Trained:
    """What training a job gave: the loss of each step, the LR really used for it, and the state at the end.

    `at_least` is a lower bound of the mean loss of a job that was stopped; None where it was trained to its end.
    """

    losses: np.ndarray[Any, Any]
    lrs: list[float]
    state: dict[str, Any]
    seconds: float
    score: float | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    gradient_norms: tuple[float, ...] | None = None
    extra_forwards: int = 0
    at_least: float | None = None


def train(workload: Workload, spec: TrainSpec, job: SegmentJob, start_from: dict[str, Any] | None = None) -> Trained:
    """Train steps [job.start, job.stop), from initialisation or from the state of another job.

    The loss of step t is that of batch t before update t. `start_from` is left as it is. A job whose mean loss is sure
    to exceed its `stop_above` is stopped, and neither scored nor evaluated.

    Raises:
        RuntimeError: something resets the LR between the schedule and the update.
        ValueError: an adaptive schedule gives an LR that is negative or not finite.
    """
    device = torch.device(spec.device)
    seed_all(spec.seed, "model", device)
    model = workload.model().to(device)
    optimizer = optimizers.build(workload, model, spec.optimizer)
    control = Control(optimizer, job.schedule, [group.get("lr_scale", 1.0) for group in optimizer.param_groups])
    if spec.compile:
        model.compile()  # in place: the names in its state stay
    if start_from is not None:
        model.load_state_dict(start_from["model"])
        # torch's optimizers keep the tensors they are given: without the copy, siblings would share moments.
        optimizer.load_state_dict(copy.deepcopy(start_from["optimizer"]))
        control.restore(start_from)
    losses = torch.empty(job.stop - job.start, dtype=torch.float32, device=device)
    norms = torch.zeros_like(losses)
    lrs: list[float] = []
    partial_mean = PartialMean(job)
    stoppable = not getattr(workload, "signed_loss", False)
    clip_norm = spec.optimizer.clip_norm if spec.optimizer else 0.0
    model.train()
    began = time.perf_counter()
    for index, step in enumerate(range(job.start, job.stop)):
        loss = backward(workload, model, spec, batch_of(workload, spec, step))
        if job.gradient_norms:
            norms[index] = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        lr = control.decide(step, loss, partial(loss_again, workload, model, spec, step))
        optimizer.step()
        if index == 0:
            control.check()
        losses[index] = loss
        lrs.append(lr)
        control.observe(step, lr, losses[index])
        optimizer.zero_grad(set_to_none=True)
        if stoppable and partial_mean.due(len(lrs)):
            partial_mean.add(losses[partial_mean.seen : len(lrs)].tolist())
            if partial_mean.exceeded:
                break
    read = losses[: len(lrs)].cpu().numpy()  # waits for the device
    seconds = time.perf_counter() - began
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **control.state()}
    trained = Trained(read, lrs, state, seconds, extra_forwards=control.forwards)
    if len(lrs) < job.stop - job.start:
        trained.at_least = partial_mean.at_least
        return trained
    if job.gradient_norms:
        trained.gradient_norms = tuple(norms.tolist())
    with frozen(model), precision(spec.dtype, device):
        if job.score_batches:
            trained.score = score(workload, model, job.score_batches, spec.seed, device)
        for split in job.evaluate:
            seed_all(spec.seed, split, device)
            trained.metrics[split] = evaluate(workload, model, split)
    return trained


def batch_of(workload: Workload, spec: TrainSpec, step: int) -> Any:
    """The batch of a step; from here on random numbers are those of that step."""
    device = torch.device(spec.device)
    seed_all(spec.seed, step, device)
    with precision(spec.dtype, device):
        return workload.batch(step)


def backward(workload: Workload, model: torch.nn.Module, spec: TrainSpec, batch: Any) -> torch.Tensor:
    """Add the gradient of a batch's loss to the parameters' gradients, piece by piece. Returns the loss, detached."""
    return total(workload, spec, batch, lambda piece, share: backed(loss_of(workload, model, spec, piece), share))


def backed(loss: torch.Tensor, share: float) -> torch.Tensor:
    """Send a share of a loss back; returns that share, detached."""
    part = loss if share == 1 else loss * share
    part.backward()  # type: ignore[no-untyped-call]
    return part.detach()


def total(workload: Workload, spec: TrainSpec, batch: Any, part: Callable[[Any, float], torch.Tensor]) -> torch.Tensor:
    """The sum over the pieces of a batch of what `part` gives for a piece and its share of the batch.

    A piece counts by its rows, or by what the workload says (`Weighted`): so the weighted mean of the pieces' losses
    is the loss of the batch, where nothing, like batch normalisation, mixes rows.
    """
    if spec.micro_batches == 1:
        return part(batch, 1.0)
    weight = workload.weight if isinstance(workload, Weighted) else rows
    cut = pieces(batch, spec.micro_batches, f"workload {spec.workload}: batch", weight)
    parts = [part(*piece) for piece in cut]
    return torch.stack(parts).sum()


def loss_of(workload: Workload, model: torch.nn.Module, spec: TrainSpec, batch: Any) -> torch.Tensor:
    """The training loss of a batch or a piece of one."""
    device = torch.device(spec.device)
    with precision(spec.dtype, device):
        return workload.loss(model, to(batch, device))


@torch.no_grad()
def loss_again(workload: Workload, model: torch.nn.Module, spec: TrainSpec, step: int) -> torch.Tensor:
    """The loss of batch `step` with the weights as they are now; it leaves no trace in the model's buffers."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    batch = batch_of(workload, spec, step)
    loss = total(workload, spec, batch, lambda piece, share: loss_of(workload, model, spec, piece) * share)
    for buffer, before in buffers:
        buffer.copy_(before)
    return loss


def evaluate(workload: Workload, model: torch.nn.Module, split: str) -> dict[str, float]:
    """The workload's metrics on a split; one that is not finite is +inf.

    Raises:
        UsageError: `loss` is not among them.
    """
    metrics = {name: finite(float(value)) for name, value in workload.evaluate(model, split).items()}
    if "loss" not in metrics:
        raise UsageError(f"{type(workload).__name__}.evaluate: must return a metric 'loss', got {sorted(metrics)}")
    return metrics


def score(workload: Workload, model: torch.nn.Module, n: int, seed: int, device: torch.device) -> float:
    """The mean loss of the model as it is over score batches 0 to n - 1; +inf if it is not finite.

    Raises:
        UsageError: the workload reserves no data for scores.
    """
    if not isinstance(workload, Scored):
        raise UsageError(
            f"{type(workload).__name__} has no method score_batch(i), which gives training data that are kept aside "
            "for scores; write one, or let the search score by validation loss (--score-on validation)"
        )
    seed_all(seed, "score", device)
    return finite(sum(float(workload.loss(model, to(workload.score_batch(i), device))) for i in range(n)) / n)


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
    """Autocast to bfloat16 where the recipe says so."""
    return nullcontext() if dtype == "float32" else torch.autocast(device.type, torch.bfloat16)


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, for the length of a block."""
    model.eval()
    with torch.no_grad():
        yield
    model.train()
