"""Averages of a model's weights along a run, in a training loop of your own.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from lrctl.errors import UsageError

__all__ = ["PowerEMA"]


class PowerEMA:
    """Power EMAs of the trained parameters of a model (Karras et al. 2023, arXiv 2312.02696).

    After update t, counted from 1, each average moves towards the weights by 1 - (1 - 1/t)^(power + 1). So weights of
    update s count about as s^power, and the mean age of what is averaged is t / (power + 2), however long the run will
    be. Which power is best is chosen when it is over:

        averages = PowerEMA(model)
        for batch in batches:
            ...
            optimizer.step()
            averages.update()
        best = averages.best(lambda: validation_loss(model))
        with averages.weights(best):
            torch.save(model.state_dict(), "best.pt")

    Averages are in float32 at least. Buffers are not averaged: with batch normalisation, compute its statistics again
    inside of `weights`, as `torch.optim.swa_utils.update_bn` does.

    Attributes:
        updates: how many there were.
        averages: by power, a tensor for each parameter that needs a gradient, by its name.

    Raises:
        UsageError: a power is negative or not finite, or given twice.
    """

    def __init__(self, model: torch.nn.Module, powers: Sequence[float] = (4.0, 8.0, 16.0)) -> None:
        check_powers(powers)
        self.updates = 0
        self._named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.averages = {float(power): {n: wide(p).clone() for n, p in self._named.items()} for power in powers}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights in: to be called after each update of the optimizer."""
        self.updates += 1
        now = [wide(parameter) for parameter in self._named.values()]
        for power, averages in self.averages.items():
            weight = 1 - (1 - 1 / self.updates) ** (power + 1)
            torch._foreach_lerp_(list(averages.values()), now, weight)

    @torch.no_grad()
    def take(self, power: float | None) -> None:
        """Put an average in the place of the model's weights for good; None leaves them as they are."""
        for name, average in ({} if power is None else self.averages[float(power)]).items():
            self._named[name].copy_(average)

    @contextmanager
    @torch.no_grad()
    def weights(self, power: float | None) -> Iterator[None]:
        """The model with an average in the place of its weights, for the length of a block; None leaves it as it is."""
        kept = {} if power is None else {name: p.clone() for name, p in self._named.items()}
        self.take(power)
        try:
            yield
        finally:
            for name, before in kept.items():
                self._named[name].copy_(before)

    def best(self, loss: Callable[[], float]) -> float | None:
        """The power of the average with which the model has the lowest loss; None: the last weights have.

        `loss` should be on data that choices may be made by, never on test data.
        """
        found: dict[float | None, float] = {}
        for power in (None, *self.averages):
            with self.weights(power):
                value = float(loss())
            found[power] = value if math.isfinite(value) else math.inf
        return min(found, key=lambda power: found[power])

    def state_dict(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        return {"updates": self.updates, "averages": {f"{power:g}": each for power, each in self.averages.items()}}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, which is left as it is.

        Raises:
            KeyError: it has not all of these powers and parameters.
        """
        self.updates = int(state["updates"])
        for power, averages in self.averages.items():
            for name, average in averages.items():
                average.copy_(state["averages"][f"{power:g}"][name])


def check_powers(powers: Sequence[float]) -> None:
    if not all(0 <= power < math.inf for power in powers) or len(set(powers)) != len(powers):
        raise UsageError(f"powers of averages must be different numbers of at least 0, got {list(powers)}")


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in float32 at least: the small steps of an average are lost in halves."""
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))
