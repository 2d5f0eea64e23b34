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
from lrctl.contracts.workload import Workload
from lrctl.planning.profiler import Profiler, StepCost, set_up
from lrctl.storage.checkpoint import digest_of_state
from lrctl.training.batches import cut, pieces, rows, tensors_in

TIMED_STEPS = 20
"""Steps, at LR 0, that a step's time is measured over."""

TIME_LIMIT = 20.0
"""Seconds that measuring steps may take; a batch for which they do not suffice is cut down."""

QUICK_ROW = 0.5
"""Seconds within which one row is trained on by a small model."""

ACTIVATION_LIMIT = 4e9
"""Bytes that the activations of a cut-down batch may take on a CPU."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured in one worker.

    Attributes:
        seconds_per_evaluation: of all splits asked for; None where it was not measured.
        passes_per_evaluation: forward passes over the validation data, as many rows as a batch has each; 0 where it was
            not measured.
        checkpoint_bytes: exact.
        memory_bytes: weights and optimizer state, which are exact, and the larger of two: gradients and what one
            batch, or one piece of it, keeps for them; what a pass without gradients holds, which scores and, where its
            time was measured, evaluates. Torch itself and the data are not counted.
        notes: what the user should know about these numbers.
        seconds_per_job: beside its steps, for its model and its checkpoint.
        seconds_per_start: of a program, beside the steps: its imports, its data, its checkpoint.
    """

    seconds_per_step: float
    seconds_per_evaluation: float | None
    checkpoint_bytes: int
    memory_bytes: int
    notes: tuple[str, ...] = ()
    passes_per_evaluation: int = 0
    seconds_per_job: float = 0.0
    seconds_per_start: float = 0.0


def measure(
    workload: Workload, spec: TrainSpec, *, stand_in: bool = False, scored: bool = False, splits: tuple[str, ...] = ()
) -> Measured:
    """What training takes in one worker.

    The batch is cut down first: to one row, then to two, four, and so on. Steps on whole batches, and an evaluation of
    all `splits`, are measured only where these show that it does not take long; else the time of a step is
    extrapolated. With `stand_in` batches are made up, since the data are not ready, and nothing is evaluated; with
    `scored` the model is scored too, on batches like those that it is trained on.
    """
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)  # the first optimizer takes seconds of imports
    set_up_at = time.perf_counter()
    profiler = set_up(workload, spec, stand_in, scored)
    setting_up = profiler.now() - set_up_at
    notes = simplify(profiler)
    began = profiler.now()
    batch = profiler.batch(0)
    batch_seconds = profiler.now() - began
    n = spec.micro_batches
    piece = batch if n == 1 else pieces(batch, n, f"workload {spec.workload}: batch 0")[0][0]
    length = rows(piece) or 1
    costs = growing_costs(profiler, piece, length) if rows(piece) else [profiler.step_cost(piece, 1)]
    last, whole = costs[-1], costs[-1].rows == length
    seconds = batch_seconds + n * extrapolated(costs, length, lambda cost: cost.backward) + last.update
    if whole and (possible := int(TIME_LIMIT / max(seconds, 1e-9))):
        seconds = mean_seconds(profiler, possible)
    elif last.rows < n * length:
        notes.append(f"time and memory are extrapolated from {last.rows} of the {rows(batch)} rows of a batch")
    kept, forward = (int(extrapolated(costs, length, of)) for of in (lambda cost: cost.kept, lambda cost: cost.forward))
    evaluation, passes = None, 0
    if whole and not stand_in:
        evaluation, passes = profiler.evaluation(splits)
        forward = max(forward, *map(profiler.evaluation_bytes, splits))
    state = [profiler.passes.state(), profiler.optimizer.state_dict(), profiler.averages]
    bytes_of_state, began = size(state), profiler.now()
    digest_of_state({"state": state})  # about what a checkpoint takes beside the disk
    per_job = setting_up + profiler.now() - began
    held = memory(profiler, kept, forward, whole)
    return Measured(seconds, evaluation, bytes_of_state, held, tuple(notes), passes, seconds_per_job=per_job)


def simplify(profiler: Profiler) -> list[str]:
    """Leave out options that take too long here. Returns notes on them."""
    spec, notes = profiler.spec, []
    if spec.compile:
        notes.append(
            "steps were measured uncompiled; compiling takes each worker a minute or so, then steps are faster"
        )
    if spec.dtype == "bfloat16" and spec.device == "cpu" and not quick_in_float32(profiler):
        profiler.spec = replace(spec, dtype="float32")
        notes.append("steps were measured in float32: without hardware for it, bfloat16 is much slower on a CPU")
    return notes


def quick_in_float32(profiler: Profiler) -> bool:
    """Whether a row is trained on quickly in float32, so that bfloat16 can be tried even without hardware for it."""
    batch = profiler.batch(0)
    spec, profiler.spec = profiler.spec, replace(profiler.spec, dtype="float32")
    first = first_cost(profiler, batch, rows(batch) or 1)
    profiler.spec = spec
    return first.backward < QUICK_ROW


def growing_costs(profiler: Profiler, piece: Any, length: int) -> list[StepCost]:
    """What 1, 2, 4, ... rows of a batch of `length` rows take, as far as time and memory allow."""
    began = profiler.now()
    first = first_cost(profiler, piece, length)
    quick = first.backward < QUICK_ROW
    costs = [profiler.step_cost(cut(piece, 0, first.rows), first.rows) if quick else first]  # warmed up
    while (last := costs[-1]).rows < length:
        more = min(2 * last.rows, length)
        expected = last.backward * more / last.rows + last.update
        # Two of them tell what a row takes: for them, more time.
        if profiler.now() - began + expected > (TIME_LIMIT if len(costs) > 1 else 3 * TIME_LIMIT):
            break
        if last.kept * more / last.rows > ACTIVATION_LIMIT and not profiler.spec.device.startswith("cuda"):
            break
        try:
            costs.append(profiler.step_cost(cut(piece, 0, more), more))
        except torch.OutOfMemoryError:
            profiler.optimizer.zero_grad(set_to_none=True)
            break
    return costs


def first_cost(profiler: Profiler, piece: Any, length: int) -> StepCost:
    """An update on one row; on more where a model cannot be trained on so few, as with batch normalisation."""
    for few in (1, 2):
        if few < length:
            try:
                return profiler.step_cost(cut(piece, 0, few), few)
            except torch.OutOfMemoryError:
                raise
            except Exception:
                profiler.optimizer.zero_grad(set_to_none=True)
    return profiler.step_cost(piece, length)


def extrapolated(costs: list[StepCost], length: int, of: Callable[[StepCost], float]) -> float:
    """What `of` is for that many rows, on the line through the last two costs; in proportion if there is only one."""
    last = costs[-1]
    if len(costs) == 1:
        return of(last) * length / last.rows
    before = costs[-2]
    slope = max(0.0, (of(last) - of(before)) / (last.rows - before.rows))
    return of(last) + slope * (length - last.rows)


def mean_seconds(profiler: Profiler, possible: int) -> float:
    warm_up, n = min(3, possible // 8), min(TIMED_STEPS, possible)
    for step in range(warm_up):
        profiler.step(step)
    began = profiler.now()
    for step in range(n):
        profiler.step(step)
    return (profiler.now() - began) / n


def memory(profiler: Profiler, kept: int, forward: int, whole: bool) -> int:
    """Bytes that a worker needs: to train, keeping `kept`, or for a pass without gradients that holds `forward`."""
    if whole and profiler.spec.device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    weights = list(profiler.model.parameters())
    gradients = [p for p in weights if p.requires_grad]
    held = [weights, list(profiler.model.buffers()), profiler.optimizer.state_dict()["state"], profiler.averages]
    return size(held) + max(size(gradients) + kept, forward)


def size(state: Any) -> int:
    """Bytes of all tensors in nested dicts, lists and tuples."""
    return sum(tensor.nbytes for tensor in tensors_in(state))
