"""Hypergradient descent: the LR follows its own gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.schedule import Observation, Scope, UpdateContext
from lrctl.errors import UsageError
from lrctl_schedules.parameters import LARGEST, NonNegative, PerGroup, Range, check_lrs, check_parameters, per_group


@dataclass(frozen=True, slots=True)
class Hypergradient:
    """The LR moves along the product of the gradient and the last update's direction.

    With g_t the gradient of update t, u_(t-1) the direction of the update before (u = 0 before the first):

        lr_t = lr_(t-1) + beta <g_t, u_(t-1)>        then    theta moves by -lr_t u_t

    -<g_t, u_(t-1)> is the derivative of the loss with respect to the last LR. For SGD u is the gradient, or the
    momentum made of it; for Adam it is the step that Adam takes with LR 1. `scope` says what has an LR of its own:
    everything (`global`), each param group (`group`, the first-order GreedyLR of Subramanian & Ganapathiraman, section
    III-B), or each element of each parameter (`element`; AdamW's weight decay then keeps to the initial LR). The
    recorded LR is the mean over these.

    A product that is not finite counts as 0. The LR stays in [`min_lr`, `max_lr`]; without bounds (none) it may become
    negative, as in the original.

    Which `beta` suits depends on the optimizer, the loss and the number of parameters; Baydin et al. use 1e-3 to 1e-4
    for SGD and 1e-7 to 1e-8 for Adam. `beta` 0 is the optimizer with a constant LR.

    Raises:
        ValueError: a parameter is out of its range.

    Source: Baydin et al. 2018, Online Learning Rate Adaptation with Hypergradient Descent, equations 5 to 8 and
    algorithms 4 to 6.
    """

    initial_lr: Annotated[PerGroup, "the LR to start from; by group a list is one for each"]
    beta: Annotated[NonNegative, "how far the LR moves: the LR of the LR"] = 1e-7
    scope: Annotated[Scope, "what has an LR of its own: global, each param group, each element"] = "global"
    min_lr: Annotated[float | None, "lower bound of the LR; none: it may become negative", Range(-LARGEST)] = 0.0
    max_lr: Annotated[float | None, "upper bound of the LR; none: there is none", Range(-LARGEST)] = None

    def __post_init__(self) -> None:
        check_parameters(self)
        check_lrs("initial_lr", self.initial_lr)
        if isinstance(self.initial_lr, tuple) and self.scope != "group":
            raise ValueError(f"initial_lr: must be one LR with scope {self.scope!r}, got {self.initial_lr}")
        low, high = self.bounds
        for lr in per_group(self.initial_lr):
            if not low <= lr <= high:
                raise ValueError(f"initial_lr: must be from min_lr to max_lr, {low:g} to {high:g}, got {lr:g}")

    @property
    def signed(self) -> bool:
        return self.bounds[0] < 0

    @property
    def bounds(self) -> tuple[float, float]:
        return (
            -math.inf if self.min_lr is None else self.min_lr,
            math.inf if self.max_lr is None else self.max_lr,
        )

    def incompatible_with(self, optimizer: OptimizerSettings) -> str:
        return "" if optimizer.name in ("sgd", "adam", "adamw") else "it needs sgd, adam or adamw"

    def init(self) -> Any:
        """No LRs yet: how many there are shows with the first gradient."""
        return {"lrs": None}

    def __call__(self, _step: int, state: Any) -> Any:
        lrs = state["lrs"]
        if lrs is None:
            return self.initial_lr
        return lrs[0] if self.scope == "global" else tuple(lrs)

    def probe(self, state: Any, context: UpdateContext) -> Any:
        products = context.products(self.scope)
        lrs = per_group(self.initial_lr, len(products)) if state["lrs"] is None else state["lrs"]
        if len(lrs) != len(products):
            raise UsageError(f"{self!r}: it has {len(lrs)} LRs for {len(products)} param groups")
        return {"lrs": [self.bounded(lr + self.beta * product) for lr, product in zip(lrs, products, strict=True)]}

    def bounded(self, lr: Any) -> Any:
        low, high = self.bounds
        return lr.clip(low, high) if self.scope == "element" else min(max(lr, low), high)

    def update(self, state: Any, _seen: Observation) -> Any:
        """The state as it is: the LR is decided before the update."""
        return state
