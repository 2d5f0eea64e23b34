"""Muon for some param groups, AdamW for the others.

Imports torch only: an export carries this file's code.
"""

from __future__ import annotations

import math
from typing import Any

import torch


class Muon(torch.optim.Optimizer):
    """Muon for the param groups that have `"muon": True`, torch's AdamW for the others.

    A parameter of more than two sides is one matrix, as for a convolution; in a group with `"stack": True` it is one
    for each index of the first side, as for experts.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        own = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "betas": betas, "eps": eps, "muon": False}
        super().__init__(params, own)
        fused = all(p.is_floating_point() for group in self.param_groups for p in group["params"])
        # AdamW completes the groups that it is given: they are this optimizer's own.
        self.rest = torch.optim.AdamW(self.rest_groups() or [{"params": []}], fused=fused)

    def rest_groups(self) -> list[dict[str, Any]]:
        return [group for group in self.param_groups if not group["muon"]]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        if not hasattr(self, "rest") or param_group["muon"]:
            return
        real = all(p.is_floating_point() for p in param_group["params"])
        for name, default in self.rest.defaults.items():
            param_group.setdefault(name, default and real if name == "fused" else default)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "rest": self.rest}  # for copies

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.rest.param_groups, self.rest.state = self.rest_groups(), self.state
        self.rest.step()
        for group in self.param_groups:
            for p in group["params"] if group["muon"] else ():
                if p.grad is not None:
                    self.update(group, p, p.grad)
        return loss

    def update(self, group: dict[str, Any], p: torch.Tensor, grad: torch.Tensor) -> None:
        state, lr = self.state[p], float(group["lr"])
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        momentum = state["momentum_buffer"]
        momentum.lerp_(grad, 1 - group["momentum"])
        step = grad.lerp(momentum, group["momentum"])
        matrix = step if group.get("stack") else step.flatten(1)
        size = 0.2 * math.sqrt(max(matrix.shape[-2:]))
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(orthogonal(matrix).view(p.shape).to(p.dtype), alpha=-lr * size)


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """U V^T of a matrix U S V^T, roughly: singular values end between 0.7 and 1.2 (Jordan et al. 2024).

    With three sides it is a stack of matrices.
    """
    x = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
    product = torch.addmm if x.ndim == 2 else torch.baddbmm
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = product(x, product(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.mT if tall else x).contiguous()
