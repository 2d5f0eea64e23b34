"""What a schedule can ask about an update between its backward pass and its step.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from lrctl.contracts.schedule import Scope
from lrctl.engine.direction import Direction, gradient, scaled
from lrctl.errors import UsageError

Again = Callable[[], torch.Tensor]
"""Computes the loss of the update's batch once more, with the weights as they are then."""


@dataclass(slots=True)
class LiveContext:
    """An `UpdateContext` of an optimizer whose parameters have their gradients.

    Attributes:
        scales: what the schedule's LR is multiplied by for each param group.
        again: computes the loss of the update's batch; None if that cannot be done.
        direction: the last update's, once products with it were asked for.
        forwards: how often the loss was computed again.
        before: the weights as they are, once others were tried.
    """

    optimizer: torch.optim.Optimizer
    scales: Sequence[float]
    schedule: Any
    step: int
    loss: float
    again: Again | None
    direction: Direction | None
    forwards: int = 0
    before: list[torch.Tensor] | None = None

    @torch.no_grad()
    def products(self, scope: Scope) -> tuple[Any, ...]:
        if self.direction is None:
            self.direction = Direction(self.optimizer)
        each = scaled(self.optimizer, self.scales)
        last = self.direction.last or [torch.zeros_like(p) for p, _ in each]
        products = [wide(gradient(p)) * wide(u) * scale for (p, scale), u in zip(each, last, strict=True)]
        if scope == "element":
            return tuple(product.nan_to_num(0.0, 0.0, 0.0) for product in products)
        sums = torch.stack([product.sum().double() for product in products]).tolist()
        rest = iter(sums)
        groups = [sum(islice(rest, len(group["params"]))) for group in self.optimizer.param_groups]
        found = groups if scope == "group" else [sum(sums)]
        return tuple(value if math.isfinite(value) else 0.0 for value in found)

    @torch.no_grad()
    def slope(self) -> float:
        each = scaled(self.optimizer, self.scales)
        return float(torch.stack([wide(gradient(p)).square().sum().double() * scale for p, scale in each]).sum())

    @torch.no_grad()
    def loss_at(self, lr: float) -> float:
        check_plain(self.optimizer)
        if self.again is None:
            raise UsageError(f"{self.schedule!r}: it has to compute the loss of a batch again; give probe() a closure")
        moved = scaled(self.optimizer, self.scales)
        self.before = [p.clone() for p, _ in moved] if self.before is None else self.before
        self.forwards += 1
        try:
            for parameter, scale in moved:
                parameter.sub_(gradient(parameter), alpha=lr * scale)
            return float(self.again().detach())
        finally:
            for (parameter, _), start in zip(moved, self.before, strict=True):
                parameter.copy_(start)


def check_plain(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimizer whose step is not the gradient step."""
    plain = isinstance(optimizer, torch.optim.SGD) and not any(
        group["momentum"] or group["weight_decay"] or group["maximize"] for group in optimizer.param_groups
    )
    if not plain:
        raise UsageError(
            f"optimizer {type(optimizer).__name__}: a line search tries gradient steps; choose sgd without momentum "
            "and weight decay"
        )


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in float32 at least: LRs and products of halves would lose themselves in rounding."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
