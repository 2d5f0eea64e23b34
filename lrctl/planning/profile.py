"""What a step takes: measured on a throw-away model, on cut-down batches where a whole one would take long.

Imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import StandIn, Workload
from lrctl.engine import optimizers
from lrctl.engine.batches import cut, pieces, rows, tensors_in
from lrctl.engine.lr_control import set_lr
from lrctl.engine.trainer import backward, batch_of, evaluate, frozen, loss_of, precision, seed_all

PROBE = 20
"""Steps, at LR 0, that a step's time is measured over."""

PATIENCE = 20.0
"""Seconds that measuring steps may take; a batch for which they do not suffice is cut down."""

QUICK = 0.5
"""Seconds within which one row is trained on by a small model."""

ROOM = 4e9
"""Bytes that the activations of a cut-down batch may take on a CPU."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in one worker.

    Attributes:
        seconds_per_evaluation: of all splits asked for; None where it was not measured.
        checkpoint_bytes: exact.
        memory_bytes: weights, gradients and optimizer state, which are exact, and the activations of one batch, or
            one piece of it. Torch itself and the data are not counted.
        notes: what the user should know about these numbers.
    """

    seconds_per_step: float
    seconds_per_evaluation: float | None
    checkpoint_bytes: int
    memory_bytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One update on the first rows of a batch: seconds to the gradient and for the update, bytes kept for backward."""

    rows: int
    backward: float
    update: float
    kept: int


@dataclass(slots=True)
class Bench:
    """A model and its optimizer, with LR 0, and what to measure them with."""

    workload: Workload
    spec: TrainSpec
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    stand_in: bool

    def batch(self, step: int) -> Any:
        """The batch of a step, or one that stands in for it."""
        if self.stand_in and isinstance(self.workload, StandIn):
            seed_all(self.spec.seed, step, torch.device(self.spec.device))
            return self.workload.stand_in(step)
        return batch_of(self.workload, self.spec, step)

    def step(self, step: int) -> None:
        """One update as in training."""
        backward(self.workload, self.model, self.spec, self.batch(step))
        self.update()

    def update(self) -> None:
        """Clip, update the weights, and forget the gradients."""
        if self.spec.optimizer and self.spec.optimizer.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.optimizer.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def point(self, batch: Any, length: int) -> Point:
        """One update on a batch of that many rows, in one piece."""
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor.detach()  # the tensor itself would hold itself alive

        seed_all(self.spec.seed, 0, torch.device(self.spec.device))
        began = self.now()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = loss_of(self.workload, self.model, self.spec, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        middle = self.now()
        self.update()
        weights = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        kept = sum(size for place, size in storages.items() if place not in weights)
        return Point(length, middle - began, self.now() - middle, kept)

    def now(self) -> float:
        """The time, once the device has done all that it was given."""
        if self.spec.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()


def measure(workload: Workload, spec: TrainSpec, *, stand_in: bool = False, splits: tuple[str, ...] = ()) -> Measured:
    """What training takes in one worker.

    The batch is cut down first: to one row, then to two, four, and so on. Steps on whole batches, and an evaluation of
    all `splits`, are measured only where these show that it does not take long; else the time of a step is
    extrapolated.

    Args:
        workload: what is trained.
        spec: how it is trained.
        stand_in: take made-up batches, since the data are not ready; then nothing is evaluated.
        splits: what an evaluation is of.

    Raises:
        UsageError: the batches cannot be cut into `spec.micro_batches`.
    """
    notes: list[str] = []
    if spec.compile:
        spec = replace(spec, compile=False)
        notes.append(
            "steps were measured uncompiled; compiling takes each worker a minute or so, then steps are faster"
        )
    bench = set_up(workload, spec, stand_in)
    if spec.dtype == "bfloat16" and spec.device == "cpu" and not quick_in_float32(bench):
        bench.spec = spec = replace(spec, dtype="float32")
        notes.append("steps were measured in float32: without hardware for it, bfloat16 is much slower on a CPU")
    began = bench.now()
    batch = bench.batch(0)
    batch_seconds = bench.now() - began
    n = spec.micro_batches
    piece = batch if n == 1 else pieces(batch, n, f"workload {spec.workload}: batch 0")[0][0]
    length = rows(piece) or 1
    points = growing(bench, piece, length) if rows(piece) else [bench.point(piece, 1)]
    last, whole = points[-1], points[-1].rows == length
    seconds = batch_seconds + n * at(points, length, lambda point: point.backward) + last.update
    if whole and (possible := int(PATIENCE / max(seconds, 1e-9))):
        seconds = mean_seconds(bench, possible)
    elif last.rows < n * length:
        notes.append(f"time and memory are extrapolated from {last.rows} of the {rows(batch)} rows of a batch")
    evaluation = evaluation_seconds(bench, splits) if whole and not stand_in else None
    state = [bench.model.state_dict(), bench.optimizer.state_dict()]
    activations = int(at(points, length, lambda point: point.kept))
    return Measured(seconds, evaluation, size(state), memory(bench, activations, whole), tuple(notes))


def set_up(workload: Workload, spec: TrainSpec, stand_in: bool) -> Bench:
    """A throw-away model on the device, in training mode."""
    device = torch.device(spec.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seed_all(spec.seed, "model", device)
    model = workload.model().to(device)
    optimizer = optimizers.build(workload, model, spec.optimizer)
    for group in optimizer.param_groups:
        set_lr(group, 0.0)
    model.train()
    return Bench(workload, spec, model, optimizer, stand_in)


def quick_in_float32(bench: Bench) -> bool:
    """Whether a row is trained on quickly in float32, so that bfloat16 can be tried even without hardware for it."""
    batch = bench.batch(0)
    spec, bench.spec = bench.spec, replace(bench.spec, dtype="float32")
    first = first_point(bench, batch, rows(batch) or 1)
    bench.spec = spec
    return first.backward < QUICK


def growing(bench: Bench, piece: Any, length: int) -> list[Point]:
    """Updates on 1, 2, 4, ... rows of a batch of `length` rows, as far as patience and memory go."""
    first = first_point(bench, piece, length)
    points = [bench.point(cut(piece, 0, first.rows), first.rows) if first.backward < QUICK else first]  # warmed up
    spent = 0.0
    while (last := points[-1]).rows < length:
        more = min(2 * last.rows, length)
        spent += last.backward + last.update
        expected = last.backward * more / last.rows + last.update
        # Two points tell what a row takes: for them, more patience.
        if spent + expected > (PATIENCE if len(points) > 1 else 3 * PATIENCE):
            break
        if last.kept * more / last.rows > ROOM and not bench.spec.device.startswith("cuda"):
            break
        try:
            points.append(bench.point(cut(piece, 0, more), more))
        except torch.OutOfMemoryError:
            bench.optimizer.zero_grad(set_to_none=True)
            break
    return points


def first_point(bench: Bench, piece: Any, length: int) -> Point:
    """An update on one row; on more where a model cannot be trained on so few, as with batch normalisation."""
    for few in (1, 2):
        if few < length:
            try:
                return bench.point(cut(piece, 0, few), few)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                bench.optimizer.zero_grad(set_to_none=True)
    return bench.point(piece, length)


def at(points: list[Point], length: int, of: Callable[[Point], float]) -> float:
    """What `of` is for that many rows, on the line through the last two points; in proportion if there is only one."""
    last = points[-1]
    if len(points) == 1:
        return of(last) * length / last.rows
    before = points[-2]
    slope = max(0.0, (of(last) - of(before)) / (last.rows - before.rows))
    return of(last) + slope * (length - last.rows)


def mean_seconds(bench: Bench, possible: int) -> float:
    """Mean seconds of a step, over as many as patience allows for."""
    warm_up, n = min(3, possible // 8), min(PROBE, possible)
    for step in range(warm_up):
        bench.step(step)
    began = bench.now()
    for step in range(n):
        bench.step(step)
    return (bench.now() - began) / n


def evaluation_seconds(bench: Bench, splits: tuple[str, ...]) -> float:
    """Seconds that evaluating all splits takes."""
    device = torch.device(bench.spec.device)
    began = bench.now()
    with frozen(bench.model), precision(bench.spec.dtype, device):
        for split in splits:
            seed_all(bench.spec.seed, split, device)
            evaluate(bench.workload, bench.model, split)
    return bench.now() - began


def memory(bench: Bench, activations: int, whole: bool) -> int:
    """Bytes that one worker trains in."""
    if whole and bench.spec.device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    weights = list(bench.model.parameters())
    gradients = [p for p in weights if p.requires_grad]
    held = [weights, list(bench.model.buffers()), gradients, bench.optimizer.state_dict()["state"]]
    return sum(map(size, held)) + activations


def size(state: Any) -> int:
    """Bytes of all tensors in nested dicts, lists and tuples."""
    return sum(tensor.nbytes for tensor in tensors_in(state))
