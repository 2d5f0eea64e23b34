"""The LRs of an optimizer's param groups: one rule for searches, schedulers, exports and programs.

Imports no torch: any optimizer will do that has param groups as torch's have them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, SupportsFloat

from lrctl.contracts.schedule import Scope
from lrctl.errors import UsageError


class Grouped(Protocol):
    """What has param groups: an optimizer of torch's, or one that looks like it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...


def scales(optimizer: Grouped, scope: Scope = "global") -> list[float]:
    """What a schedule's LR is multiplied by for each param group: one rule for searches, schedulers and exports.

    It is a group's `lr_scale` if it has one, else its own LR over the first group's; else 1 for a schedule that has an
    LR for each group, and so says their ratio itself.

    Raises:
        UsageError: a group has no LR, or its scale is negative or not finite.
    """
    own = own_lrs(optimizer)
    found = [scale_of(group, lr, own[0], scope) for group, lr in zip(optimizer.param_groups, own, strict=True)]
    for number, (group, scale) in enumerate(zip(optimizer.param_groups, found, strict=True)):
        if not 0 <= scale < math.inf:
            wrong = (
                f"lr_scale {group['lr_scale']!r}; it must be a number, finite and at least 0"
                if "lr_scale" in group
                else f"LR {own[number]:g} and the first {own[0]:g}, so that the schedule's LR cannot be scaled by "
                "their ratio; give the group an lr_scale, finite and at least 0"
            )
            raise UsageError(f"optimizer {type(optimizer).__name__}: param group {number} has {wrong}")
    return found


def own_lrs(optimizer: Grouped) -> list[float]:
    """The LRs that param groups were made with; where a scheduler has moved them, `initial_lr` tells."""
    own: list[Any] = [group.get("initial_lr", group.get("lr")) for group in optimizer.param_groups]
    if any(lr is None for lr in own):
        raise UsageError(f"optimizer {type(optimizer).__name__}: it has no LR and sets its own; make it with an lr")
    return [float(lr) for lr in own]


def scale_of(group: Mapping[str, Any], lr: float, first: float, scope: Scope) -> float:
    if "lr_scale" in group:
        return float(group["lr_scale"]) if isinstance(group["lr_scale"], SupportsFloat) else math.nan
    if lr == first or scope == "group":
        return 1.0
    return lr / first if 0 < first < math.inf else math.inf


def keep_own_lrs(optimizer: Grouped) -> None:
    """Keep the LRs that param groups were made with where torch's schedulers do, for those that come after."""
    for group, lr in zip(optimizer.param_groups, own_lrs(optimizer), strict=True):
        group.setdefault("initial_lr", lr)


def set_lr(group: dict[str, Any], lr: float) -> None:
    """Set the LR of a param group; one that is a tensor stays that tensor."""
    if hasattr(group["lr"], "fill_"):
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr
