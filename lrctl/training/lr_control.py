"""Decides and sets the LR of each update, in the trainer and in a user's own loop alike.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import torch

from lrctl.contracts.schedule import AdaptiveSchedule, Observation, Probing, Schedule, Scope, family_of
from lrctl.errors import UsageError
from lrctl.optimizers.param_groups import scales, set_lr
from lrctl.training.batches import mapped
from lrctl.training.update_context import Again, Direction, LiveContext, parameters, scaled


class Control:
    """Sets the LRs of an optimizer by a schedule of any kind, each param group's times its scale.

    Attributes:
        memory: the state of an adaptive schedule; None for any other.
        direction: the last update's direction, where the schedule has asked for products with it.
        forwards: how many forward passes the schedule has asked for.
        lrs: of each param group, as set last.
        elements: the LR of each element, by parameter, of a schedule by element.
        base: the LR that such a schedule begins with. The param groups keep it, see `spread`.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule | AdaptiveSchedule) -> None:
        self.optimizer, self.schedule = optimizer, schedule
        self.scales: Sequence[float] = scales(optimizer, scope_of(schedule))
        # Asked once: to ask it of a protocol at every step is slow.
        self.adaptive = schedule if isinstance(schedule, AdaptiveSchedule) else None
        self.probing = schedule if isinstance(schedule, Probing) else None
        self.memory: Any = None if self.adaptive is None else self.adaptive.init()
        self.direction: Direction | None = None
        self.forwards, self.base = 0, 0.0
        self.lrs: Sequence[float] = ()
        self.elements: Sequence[torch.Tensor] | None = None
        if self.adaptive is not None and scope_of(schedule) == "element":
            first = self.adaptive(0, self.memory)
            self.base = 0.0 if isinstance(first, tuple | list) else float(first)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it: JSON values and tensors."""
        if self.adaptive is None:
            return {"schedule": None}
        last = self.direction.last if self.direction else None
        state = {"schedule": self.memory, "family": family_of(self.schedule)}
        return state if last is None else {**state, "direction": list(last)}

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Go on from what `state` gave, if it was of a schedule of this family. Returns whether it was."""
        family = family_of(self.schedule)
        if state.get("schedule") is None or state.get("family", family) != family:
            return False
        each = [p for _, p in parameters(self.optimizer)]
        self.memory = mapped(state["schedule"], lambda array: array.to(each[0].device))
        if state.get("direction") is not None:
            self.direction = Direction(self.optimizer)
            self.direction.last = [u.to(p.device) for u, p in zip(state["direction"], each, strict=True)]
        return True

    def decide(self, step: int, loss: SupportsFloat, again: Again | None = None) -> float:
        """Set the LRs of update `step`, whose backward pass is done. Returns the LR, the mean where there are several.

        Raises:
            ValueError: the schedule gives an LR that is not finite, or negative without being `signed`.
            UsageError: the schedule asks for what the optimizer or `again` cannot give.
        """
        if self.probing is None:
            return self.set(step)
        context = LiveContext(self.optimizer, self.scales, self.schedule, step, float(loss), again, self.direction)
        self.memory = self.probing.probe(self.memory, context)
        self.direction, self.forwards = context.direction, self.forwards + context.forwards
        lr = self.set(step)
        if not any(self.lrs):
            self.hold()
        if self.direction:
            self.direction.before()
        return lr

    @torch.no_grad()
    def hold(self) -> None:
        """Let an update with LR 0 leave the weights as they are even where the gradient is not finite: 0 NaN is NaN."""
        for _, parameter in parameters(self.optimizer):
            if parameter.grad is not None:
                parameter.grad.nan_to_num_(0.0, 0.0, 0.0)

    def set(self, step: int) -> float:
        """Set the LRs of update `step` by what the schedule has seen so far."""
        if self.adaptive is None:
            given: Any = self.schedule(step) + 0.0  # type: ignore[call-arg]  # -0.0 is 0.0
        else:
            given = self.adaptive(step, self.memory)
        if not isinstance(given, tuple | list):
            mean = least = float(given)
            each = [mean] * len(self.scales)
        elif scope_of(self.schedule) == "element":
            self.elements, (mean, least) = given, mean_and_least(given)
            each = [self.base] * len(self.scales)
        else:
            each = [float(lr) for lr in given]
            mean = each[0] if len(set(each)) == 1 else math.fsum(each) / len(each)
            least = min(each)
        if len(self.optimizer.param_groups) != len(self.scales):
            raise UsageError(
                f"optimizer {type(self.optimizer).__name__}: it had {len(self.scales)} param groups when training "
                f"began and has {len(self.optimizer.param_groups)} at step {step}; make all of them in optimizer(model)"
            )
        if len(each) != len(self.scales):
            raise UsageError(f"{self.schedule!r}: it has {len(each)} LRs for {len(self.scales)} param groups")
        for lr in (mean, least):
            check_lr(self.schedule, step, lr)
        self.lrs = [lr * scale for lr, scale in zip(each, self.scales, strict=True)]
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            set_lr(group, lr)
        return mean

    def check(self, *, first: bool) -> None:
        """Read the LRs back after an update: a wrapper or restore that resets them silently is a classic fault.

        One that is a tensor is read after the `first` update of a job only: that waits for the device.
        """
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=False):  # `set` refuses more groups
            used = group["lr"]
            if used is lr or (isinstance(used, torch.Tensor) and not first):
                continue
            if float(used) != (float(used.new_tensor(lr)) if isinstance(used, torch.Tensor) else lr):
                raise UsageError(f"the optimizer used LR {float(used)} instead of {lr}; nothing else may set the LR")

    def observe(self, step: int, lr: float, loss: SupportsFloat) -> None:
        """Let an adaptive schedule see update `step`, which is done: its LR, and its loss before the weights moved.

        The loss is read only if there is such a schedule: on a GPU that waits for all that was asked of it.
        """
        if self.adaptive is not None:
            if self.direction:
                self.direction.after()
                self.spread()
            self.memory = self.adaptive.update(self.memory, Observation(step, lr, float(loss)))

    @torch.no_grad()
    def spread(self) -> None:
        """Move each element on by what its own LR differs from that of its param group.

        An optimizer has one LR for each group. Elements whose LR has not moved are left exactly as it left them.
        """
        if self.elements is None:
            return
        assert self.direction
        assert self.direction.last
        moved = zip(scaled(self.optimizer, self.scales), self.elements, self.direction.last, strict=True)
        for (parameter, scale), lr, u in moved:
            parameter.sub_((lr - self.base) * scale * u)


def check_lr(schedule: Any, step: float, lr: float) -> None:
    if not (math.isfinite(lr) and (lr >= 0 or getattr(schedule, "signed", False))):
        raise ValueError(f"{schedule!r} gives LR {lr} at step {step}; it must be finite and >= 0")


def scope_of(schedule: Any) -> Scope:
    scope: Scope = getattr(schedule, "scope", "global")
    return scope


def mean_and_least(arrays: Sequence[torch.Tensor]) -> tuple[float, float]:
    """The mean and the least of all elements of several arrays; NaN if one is NaN."""
    sums = torch.stack([array.double().sum() for array in arrays]).sum()
    least = torch.stack([array.min().double() for array in arrays if array.numel()]).min()
    return float(sums) / sum(array.numel() for array in arrays), float(least)
