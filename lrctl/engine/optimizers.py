"""Optimizers by their settings.

Imports torch.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.workload import WithOptimizer, WithParamGroups, Workload


def build(workload: Workload, model: torch.nn.Module, settings: OptimizerSettings | None) -> torch.optim.Optimizer:
    """The optimizer of `model`: the workload's own where `settings` is None, else the one that `settings` names.

    The LR is set at every step by the trainer, which clips too.
    """
    if settings is None:
        if not isinstance(workload, WithOptimizer):
            raise TypeError(f"{type(workload).__name__} has no method optimizer(model)")
        return workload.optimizer(model)
    groups: Any = workload.param_groups(model) if isinstance(workload, WithParamGroups) else model.parameters()
    given = {name: value for name, value in asdict(settings).items() if name != "clip_norm"}
    fused = {"fused": True} if settings.name in ("adamw", "adam") else {}
    # The settings are named as torch's classes are.
    optimizer: torch.optim.Optimizer = getattr(torch.optim, type(settings).__name__)(groups, **fused, **given)
    return optimizer
