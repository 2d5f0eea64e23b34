"""Averages of the weights of a job, and the choice between them and the last weights.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from lrctl.averaging import PowerEMA
from lrctl.contracts.job import COMPARED, SegmentJob
from lrctl.errors import UsageError
from lrctl.training.passes import Passes

NORM_BATCHES = 16
"""The last training batches, over which statistics of batch normalisation are computed again for an average."""

LAST = "last"


class Averages:
    """Power EMAs of a model in training.

    Attributes:
        chosen: a power, or `last`; empty before they were compared.
        forwards: passes that this took.
    """

    def __init__(self, passes: Passes, powers: tuple[float, ...]) -> None:
        self.passes, self.ema, self.chosen, self.forwards = passes, PowerEMA(passes.model, powers), "", 0
        self.norms = norms(passes)
        self.stop, self.measured = 0, dict[float, dict[str, torch.Tensor]]()

    @property
    def name(self) -> str:
        """The weights that were chosen, for people."""
        return f"average {self.chosen}" if self.chosen not in ("", LAST) else self.chosen

    def update(self, step: int) -> None:
        """Take in the weights after update `step`, which is the one after the last."""
        self.ema.update()
        assert self.ema.updates == step + 1
        self.chosen = ""
        self.measured.clear()

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps: the averages, which was chosen, and the weights to evaluate if others."""
        state = {"averages": self.ema.state_dict(), "chosen": self.chosen}
        if self.power is None:
            return state
        with self.weights():  # measures its buffers, where that is still to be done
            moved = self.measured.get(self.power, {})
        return state | {"evaluated": {**self.ema.averages[self.power], **moved}}

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Go on from what `state` gave before step `step`; where it has no averages they begin there."""
        self.stop = step
        if "averages" in state:
            self.ema.load_state_dict(state["averages"])
            self.chosen = state["chosen"]
            if self.norms and self.power is not None:
                kept = {name: state["evaluated"][name] for name, _ in self.passes.model.named_buffers()}
                self.measured = {self.power: kept}
        else:
            self.ema = PowerEMA(self.passes.model, tuple(self.ema.averages))
            self.ema.updates = step

    @property
    def power(self) -> float | None:
        return None if self.chosen in ("", LAST) else float(self.chosen)

    def choose(self, job: SegmentJob) -> None:
        """Compare the last weights and the averages at the end of a job, unless the job before it has done so there.

        By their loss on reserved batches, or on validation data where there are none.
        """
        self.stop = job.stop
        if self.chosen or not job.stop:
            return
        found: dict[float | None, float] = {}
        for power in (None, *self.ema.averages):
            with self.averaged(power):
                found[power] = self.loss(job.score_batches or COMPARED)
        best = min(found, key=lambda power: found[power])
        self.chosen = LAST if best is None else f"{best:g}"

    def loss(self, batches: int) -> float:
        scores = self.passes.score(batches)
        if scores:
            self.forwards += len(scores)
            return sum(scores) / len(scores)
        metrics, forwards = self.passes.evaluate("validation")
        self.forwards += forwards
        return metrics["loss"]

    def weights(self) -> Any:
        """The model with the weights that were chosen, for the length of a block."""
        return self.averaged(self.power)

    @contextmanager
    def averaged(self, power: float | None) -> Iterator[None]:
        buffers = [(buffer, buffer.clone()) for buffer in self.passes.model.buffers()] if power is not None else []
        with self.ema.weights(power):
            if power is not None and self.norms:
                self.set_norms(power)
            try:
                yield
            finally:
                with torch.no_grad():
                    for buffer, before in buffers:
                        buffer.copy_(before)

    @torch.no_grad()
    def set_norms(self, power: float) -> None:
        """Give the model the buffers of an average: measured once, so that all that is told of it is of the same."""
        named = dict(self.passes.model.named_buffers())
        if power not in self.measured:
            self.measure_norms()
            self.measured[power] = {name: buffer.clone() for name, buffer in named.items()}
        for name, buffer in named.items():
            buffer.copy_(self.measured[power][name])

    @torch.no_grad()
    def measure_norms(self) -> None:
        """Compute the statistics of batch normalisation again: a plain mean over the last training batches."""
        momenta = [each.momentum for each in self.norms]
        for each in self.norms:
            each.reset_running_stats()
            each.momentum = None
        for step in range(max(0, self.stop - NORM_BATCHES), self.stop):
            self.passes.forward(self.passes.batch(step))
            self.forwards += 1
        for each, momentum in zip(self.norms, momenta, strict=True):
            each.momentum = momentum


def norms(passes: Passes) -> list[_BatchNorm]:
    """The layers of batch normalisation whose running statistics are of the weights in training."""
    modules = [module for module in passes.model.modules() if isinstance(module, _BatchNorm)]
    return [each for each in modules if each.track_running_stats and each not in passes.still]


def averages(passes: Passes, powers: tuple[float, ...], optimizer: Any) -> Averages | None:
    """The averages that a spec asks for.

    Raises:
        UsageError: the optimizer keeps an average of its own, or the model has batch normalisation, whose statistics
            are of past batches, which a workload that carries its data on cannot give again.
    """
    if powers and hasattr(optimizer, "eval"):
        raise UsageError(
            f"training.averaging: optimizer {type(optimizer).__name__} keeps an average of its own; leave averaging "
            "out, or choose another optimizer"
        )
    if powers and passes.carrying and norms(passes):
        raise UsageError(
            f"training.averaging: the model of {passes.where} has batch normalisation, whose statistics an average "
            "needs anew from past batches, and a workload that carries its data on cannot draw these again; leave "
            "averaging out, take another normalisation, or draw batches by their step"
        )
    return Averages(passes, powers) if powers else None
