"""The param groups of an optimizer by the roles of parameters.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lrctl.contracts.optimizers import ROLES, Muon, OptimizerSettings, Prodigy
from lrctl.contracts.workload import WithParamGroups, Workload
from lrctl.errors import UsageError, unknown
from lrctl.optimizers.param_groups import scales
from lrctl.optimizers.roles import roles, stacks

Group = dict[str, Any]

OWN = ("name", "muon", "stack", "weight_decay", "betas", "eps", "momentum")
"""What groups may differ in, beside their LR."""


def grouped(workload: Workload, model: nn.Module, settings: OptimizerSettings) -> Any:
    """What an optimizer of these settings is built with: parameters, or groups that are cut by role where it matters.

    A group of the workload's that has a `name` has that role.
    """
    own = workload.param_groups(model) if isinstance(workload, WithParamGroups) else None
    if not settings.by_role:
        return model.parameters() if own is None else own
    found = roles(model)
    known = {id(parameter): found[name] for name, parameter in model.named_parameters()}
    whole = [{"params": list(model.parameters())}] if own is None else own
    stacked = stacks(model) if isinstance(settings, Muon) else set()
    return [part for group in whole for part in parts(group, known, stacked, muon=isinstance(settings, Muon))]


def parts(group: Mapping[str, Any], known: Mapping[int, str], stacked: Container[int], *, muon: bool) -> list[Group]:
    """A param group cut by role, and for Muon by what it is to that: hidden matrices, stacks of such, or neither."""
    given = group["params"]
    cut: dict[tuple[str, tuple[tuple[str, bool], ...]], list[torch.Tensor]] = {}
    for parameter in [given] if isinstance(given, torch.Tensor) else given:
        by_module = known.get(id(parameter), "vector")
        role = group.get("name", by_module)
        hidden = muon and parameter.ndim > 1 and (role if role in ROLES else by_module) == "matrix"
        marks = {"muon": hidden} if muon else {}
        marks |= {"stack": True} if hidden and id(parameter) in stacked else {}
        cut.setdefault((role, (*marks.items(),)), []).append(parameter)
    return [{**group, "params": each, "name": role, **dict(marks)} for (role, marks), each in cut.items()]


def scale(optimizer: torch.optim.Optimizer, settings: OptimizerSettings) -> None:
    """Give each param group the LR scale and the weight decay of its role.

    Raises:
        UsageError: the settings name a role that no parameter has, or the optimizer has no weight decay to scale.
    """
    groups, rest = optimizer.param_groups, settings.rest_lr if isinstance(settings, Muon) else 1.0
    if not (settings.by_role or isinstance(settings, Prodigy)):
        return
    for table in ("lr_scale", "decay_scale"):
        for role in getattr(settings, table):
            if role not in (here := [group["name"] for group in groups]):
                raise unknown("role of this model", role, here, f"optimizer.{table}.{role}")
    for group, own in zip(groups, scales(optimizer), strict=True):
        role, factor = group.get("name", ""), 1.0 if group.get("muon") else rest
        if role in settings.lr_scale or factor != 1.0:
            group["lr_scale"] = own * settings.lr_scale.get(role, 1.0) * factor
        if role in settings.decay_scale and "weight_decay" not in group:
            raise UsageError(
                f"optimizer.decay_scale.{role}: optimizer {settings.name} has no weight_decay; leave it out"
            )
        if role in settings.decay_scale:
            group["weight_decay"] *= settings.decay_scale[role]
    if isinstance(settings, Prodigy) and len(found := set(scales(optimizer))) > 1:
        raise UsageError(
            f"optimizer prodigy: it has one LR for all param groups, and these have scales {sorted(found)}; leave "
            "lr_scale out, or choose another optimizer"
        )


def told(optimizer: torch.optim.Optimizer, scales: Sequence[float], model: nn.Module) -> list[Group]:
    """The groups of a new optimizer as JSON values: names and shapes of their parameters, and what is theirs alone."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimizer.param_groups
    return [
        {
            **{key: value for key, value in group.items() if key in OWN and value != optimizer.defaults.get(key)},
            **({} if factor == 1.0 else {"lr_scale": factor}),
            "params": {names[id(p)]: list(p.shape) for p in group["params"] if id(p) in names},
        }
        for group, factor in zip(groups, scales, strict=True)
    ]
