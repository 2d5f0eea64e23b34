"""Schedule-free AdamW.

Imports torch only: an export carries this file's code.
"""

from __future__ import annotations

from typing import Any

import torch


class ScheduleFree(torch.optim.Optimizer):
    """Schedule-free AdamW (Defazio et al. 2024), step by step that of the package schedulefree.

    Parameters are y, where gradients are taken. z moves by plain AdamW updates, x is the average of z whose weights are
    the squares of the largest LR so far, and y lies between them: y = (1 - beta1) z + beta1 x. `eval()` puts x in the
    place of y, and `train()` puts y back. An update with LR 0 moves nothing.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        own = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**own, "k": 0, "weight_sum": 0.0, "lr_max": 0.0, "train_mode": True})

    def eval(self) -> None:
        self.move(train=False)

    def train(self) -> None:
        self.move(train=True)

    @torch.no_grad()
    def move(self, *, train: bool) -> None:
        for group in self.param_groups:
            beta = group["betas"][0]
            for p in group["params"] if group["train_mode"] is not train else ():
                if "z" in self.state[p]:
                    p.lerp_(self.state[p]["z"], 1 - beta if train else 1 - 1 / beta)
            group["train_mode"] = train

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.update(group, [p for p in group["params"] if p.grad is not None])
        return loss

    def update(self, group: dict[str, Any], params: list[torch.Tensor]) -> None:
        if not group["train_mode"]:
            raise RuntimeError("schedule-free: call optimizer.train() before training goes on")
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        group["k"] += 1
        group["lr_max"] = max(lr, group["lr_max"])
        weight = group["lr_max"] ** 2 if lr else 0.0
        group["weight_sum"] += weight
        share = weight / group["weight_sum"] if weight else 0.0
        if not params:
            return
        for p in params:
            if not self.state[p]:
                kept = {"z": torch.clone(p, memory_format=torch.preserve_format), "exp_avg_sq": torch.zeros_like(p)}
                self.state[p].update(kept)
        gradients = [p.grad for p in params if p.grad is not None]
        z, squares = ([self.state[p][name] for p in params] for name in ("z", "exp_avg_sq"))
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        roots = torch._foreach_div(squares, 1 - beta2 ** group["k"])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        directions = torch._foreach_div(gradients, roots)
        if group["weight_decay"]:
            torch._foreach_add_(directions, params, alpha=group["weight_decay"])
        torch._foreach_lerp_(params, z, share)
        torch._foreach_add_(params, directions, alpha=lr * (beta1 * (1 - share) - 1))
        torch._foreach_sub_(z, directions, alpha=lr)
