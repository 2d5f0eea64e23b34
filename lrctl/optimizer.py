"""Optimizers by name, for any workload.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lrctl.workload import WithOptimizer, WithParamGroups, Workload


def build(workload: Workload, model: torch.nn.Module, settings: Mapping[str, Any] | None) -> torch.optim.Optimizer:
    """The optimizer of `model`: the workload's own where `settings` is None, else AdamW by torch's fused kernel.

    `settings` holds `name`, `betas`, `eps` and `weight_decay` (decoupled, per unit of LR). The LR is set at every
    step by the trainer.

    Raises:
        TypeError: the settings are None and the workload has no optimizer.
    """
    if settings is None:
        if not isinstance(workload, WithOptimizer):
            raise TypeError(f"{type(workload).__name__} has no method optimizer(model)")
        return workload.optimizer(model)
    groups: Any = workload.param_groups(model) if isinstance(workload, WithParamGroups) else model.parameters()
    beta1, beta2 = settings["betas"]
    return torch.optim.AdamW(
        groups, betas=(beta1, beta2), eps=settings["eps"], weight_decay=settings["weight_decay"], fused=True
    )
