"""A throw-away model, and what a step, a score or an evaluation of it takes.

Imports torch.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lrctl.averaging import PowerEMA
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import StandIn, Workload
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.param_groups import set_lr
from lrctl.training.batches import tensors_in
from lrctl.training.passes import Passes


@dataclass(frozen=True, slots=True)
class StepCost:
    """What the first rows of a batch take.

    Attributes:
        backward: seconds from the batch to the gradient.
        update: seconds of the update.
        kept: bytes of activations that are kept for the gradient.
        forward: the most bytes that a pass without gradients holds at a time, where the model is scored.
    """

    rows: int
    backward: float
    update: float
    kept: int
    forward: int


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make in a block, on any device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0  # bytes of those that exist now, and the most that existed at a time
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, operation: Callable[..., Any], _types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in([args, kwargs or {}])}
        result = operation(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            storage = tensor.untyped_storage()
            place = storage.data_ptr()
            if place not in given | self._sizes.keys():  # a view takes no memory of its own
                self._sizes[place] = storage.nbytes()
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._remove, place)
        return result

    def _remove(self, place: int) -> None:
        self.live -= self._sizes.pop(place)


@dataclass(slots=True)
class Profiler:
    """Measures a throw-away model and its optimizer, with LR 0."""

    spec: TrainSpec
    passes: Passes
    optimizer: torch.optim.Optimizer
    stand_in: bool
    scored: bool

    @property
    def model(self) -> torch.nn.Module:
        return self.passes.model

    @property
    def averages(self) -> dict[float, dict[str, torch.Tensor]]:
        """Averages of the weights, as new as the weights themselves."""
        return PowerEMA(self.model, self.spec.averaging).averages

    def batch(self, step: int) -> Any:
        if self.stand_in and isinstance(self.passes.workload, StandIn):
            self.passes.seed(step)
            return self.passes.workload.stand_in(step)
        return self.passes.batch(step)

    def step(self, step: int) -> None:
        self.passes.backward(self.batch(step))
        self.update()

    def update(self) -> None:
        if self.spec.optimizer and self.spec.optimizer.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.optimizer.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def step_cost(self, batch: Any, length: int) -> StepCost:
        storages: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor.detach()  # the tensor itself would hold itself alive

        if self.passes.carrying:
            self.passes.carrying.carry(None)  # what a batch of fewer rows has left may be of no use to another
        self.passes.seed(0)
        began = self.now()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = self.passes.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        middle = self.now()
        self.update()
        weights = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        kept = sum(size for place, size in storages.items() if place not in weights)
        updated = self.now()
        return StepCost(length, middle - began, updated - middle, kept, self.forward_bytes(batch) if self.scored else 0)

    def forward_bytes(self, batch: Any) -> int:
        """The most bytes that a pass over a batch without gradients holds at a time."""
        memory = PeakMemory()
        with self.passes.frozen(), memory:
            self.passes.loss(batch)
        return memory.peak

    def evaluation(self, splits: tuple[str, ...]) -> tuple[float, int]:
        """The seconds that evaluating these splits takes, and the forward passes of the validation data."""
        began = self.now()
        passes = {split: self.passes.evaluate(split)[1] for split in splits}
        return self.now() - began, passes.get("validation", 0)

    def evaluation_bytes(self, split: str) -> int:
        """The most bytes that an evaluation holds at a time, up to its second pass: others are like the first."""
        memory, passes = PeakMemory(), count(1)

        def stop(*_: Any) -> None:
            if next(passes) > 1:
                raise FirstPassDone

        hook = self.model.register_forward_pre_hook(stop)
        try:
            with memory, suppress(FirstPassDone):
                self.passes.evaluate(split)
        finally:
            hook.remove()
        return memory.peak

    def now(self) -> float:
        """The time, once the device has done all that it was given."""
        if self.spec.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()


class FirstPassDone(Exception):  # noqa: N818
    """Ends an evaluation of which enough was seen."""


def set_up(workload: Workload, spec: TrainSpec, stand_in: bool, scored: bool) -> Profiler:
    if spec.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    passes = Passes(workload, spec)
    optimizer = build_optimizer(workload, passes.model, spec.optimizer)
    for group in optimizer.param_groups:
        set_lr(group, 0.0)
    return Profiler(spec, passes, optimizer, stand_in, scored)
