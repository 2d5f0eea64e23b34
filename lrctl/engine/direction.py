"""The direction in which an optimizer moves the weights: update t moves each parameter by -lr u_t.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from lrctl.errors import UsageError


class Direction:
    """u of an optimizer's last update, a tensor for each parameter in the order of the param groups.

    For `SGD` u is the gradient with coupled weight decay, or the momentum made of it. For `Adam` and `AdamW` it is
    m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), with t updates done; decoupled weight decay is no part of it. A
    parameter without a gradient is not moved: its u is 0.

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
