"""Optimizers by their settings.

Imports torch.
"""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import torch

from lrctl.analysis.described import described
from lrctl.contracts.optimizers import ByName, OptimizerSettings
from lrctl.contracts.workload import WithOptimizer, Workload
from lrctl.errors import UsageError
from lrctl.optimizers.by_role import grouped, scale
from lrctl.recipe.optimizers import load_optimizer


def build_optimizer(
    workload: Workload, model: torch.nn.Module, settings: OptimizerSettings | None
) -> torch.optim.Optimizer:
    """The optimizer of `model`: the workload's own where `settings` is None, else the one that `settings` names.

    The LR is set at every step by the trainer, which clips too.

    Raises:
        UsageError: the workload's own is no optimizer, wants a closure, or moves none of the model's parameters.
    """
    if settings is None:
        return own(workload, model)
    # The fused kernel knows no complex numbers.
    real = all(parameter.is_floating_point() for parameter in model.parameters())
    fused = {"fused": True} if real and settings.name in ("adamw", "adam") else {}
    try:
        made: Any = load_optimizer(settings)
        optimizer: torch.optim.Optimizer = made(grouped(workload, model, settings), **fused, **settings.arguments)
    except (TypeError, ValueError) as error:
        if not isinstance(settings, ByName):
            raise
        raise UsageError(f"optimizer {settings.name}: {error}; its arguments are set in [optimizer.options]") from error
    checked(optimizer, model, f"optimizer {settings.name}")
    scale(optimizer, settings)
    return optimizer


def own(workload: Workload, model: torch.nn.Module) -> torch.optim.Optimizer:
    where = f"{type(workload).__name__}.optimizer"
    if not isinstance(workload, WithOptimizer):
        raise UsageError(f"{where}: there is no such method; write it, or set optimizer.name")
    optimizer = workload.optimizer(model)
    checked(optimizer, model, where)
    return optimizer


def checked(optimizer: Any, model: torch.nn.Module, where: str) -> None:
    if not (hasattr(optimizer, "param_groups") and hasattr(optimizer, "step")):
        raise UsageError(f"{where}: must return one torch.optim.Optimizer, got {described(optimizer)}")
    name = type(optimizer).__name__
    closure = signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is Parameter.empty:
        raise UsageError(
            f"{where}: {name} wants a closure that computes the gradient several times in an update; lrctl computes it "
            "once: return an optimizer whose step() needs none"
        )
    moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if not any(id(parameter) in moved for parameter in model.parameters()):
        raise UsageError(f"{where}: {name} holds none of the parameters of the model it was given; pass it these")
