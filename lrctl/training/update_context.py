"""What a schedule can ask about an update between its backward pass and its step, and what it does then.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from lrctl.contracts.schedule import Scope
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
        plain = isinstance(self.optimizer, torch.optim.SGD) and not any(
            group["momentum"] or group["weight_decay"] or group["maximize"] for group in self.optimizer.param_groups
        )
        if not plain:
            raise UsageError(
                f"optimizer {type(self.optimizer).__name__}: a line search tries gradient steps; choose sgd without "
                "momentum and weight decay"
            )
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


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in float32 at least: LRs and products of halves would lose themselves in rounding."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


class Direction:
    """u of an optimizer's last update, a tensor for each parameter in the order of the param groups.

    Update t moves each parameter by -lr u_t. For `SGD` u is the gradient with coupled weight decay, or the momentum
    made of it. For `Adam` and `AdamW` it is m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), with t updates done;
    decoupled weight decay is no part of it. A parameter without a gradient is not moved: its u is 0.

    This is torch's step. Adam-HD of Baydin et al. (2018) has eps / sqrt(1 - beta2^t) for eps, as older Adams do.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        known = isinstance(optimizer, torch.optim.SGD | torch.optim.Adam | torch.optim.AdamW)
        if not known or any(g.get("maximize") or g.get("amsgrad") for g in optimizer.param_groups):
            raise UsageError(
                f"optimizer {type(optimizer).__name__}: its update direction is not known to hypergradient descent; "
                "choose sgd, adam or adamw, without amsgrad or maximize"
            )
        self.optimizer, self.sgd = optimizer, isinstance(optimizer, torch.optim.SGD)
        self.last: list[torch.Tensor] | None = None
        self._terms: list[torch.Tensor | None] = []

    @torch.no_grad()
    def before(self) -> None:
        """Note what an update leaves no trace of: to be called before it, with its gradient in place."""
        # Of Adam the state tells the rest: the parameter itself, without a copy, tells that it has a gradient.
        self._terms = [
            None if p.grad is None else decayed(group, p, p.grad) if self.sgd else p
            for group, p in parameters(self.optimizer)
        ]

    @torch.no_grad()
    def after(self) -> None:
        step = sgd if self.sgd else adam
        self.last = [
            torch.zeros_like(p) if term is None else step(group, self.optimizer.state.get(p, {}), term)
            for (group, p), term in zip(parameters(self.optimizer), self._terms, strict=True)
        ]


def parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
    return ((group, p) for group in optimizer.param_groups for p in group["params"])


def scaled(optimizer: torch.optim.Optimizer, scales: Sequence[float]) -> list[tuple[torch.Tensor, float]]:
    groups = zip(optimizer.param_groups, scales, strict=True)
    return [(parameter, scale) for group, scale in groups for parameter in group["params"]]


def gradient(parameter: torch.Tensor) -> torch.Tensor:
    """The gradient of a parameter, 0 where it has none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def decayed(group: Mapping[str, Any], parameter: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """The gradient with coupled weight decay, a tensor of its own."""
    return g.add(parameter, alpha=group["weight_decay"]) if group["weight_decay"] else g.clone()


def sgd(group: Mapping[str, Any], state: Mapping[str, Any], term: torch.Tensor) -> torch.Tensor:
    """The u of SGD after an update, of which `term` was the gradient with weight decay."""
    buffer: torch.Tensor | None = state.get("momentum_buffer")
    if not group["momentum"] or buffer is None:
        return term
    return term.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer.clone()


def adam(group: Mapping[str, Any], state: Mapping[str, Any], term: torch.Tensor) -> torch.Tensor:
    if not state:
        return torch.zeros_like(term)  # the update was skipped
    (beta1, beta2), t = group["betas"], float(state["step"])
    root = (state["exp_avg_sq"] / (1 - beta2**t)).sqrt() + group["eps"]
    u: torch.Tensor = state["exp_avg"] / (1 - beta1**t) / root
    return u
