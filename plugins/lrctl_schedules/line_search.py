"""Stochastic line search: each update takes the largest LR it can justify on its own batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from lrctl.contracts.optimizers import SGD, OptimizerSettings
from lrctl.contracts.schedule import Observation, UpdateContext
from lrctl_schedules.parameters import NonNegative, Range, check_number, check_parameters


@dataclass(frozen=True, slots=True)
class LineSearch:
    """The LR of each update by the Armijo condition on the update's own batch, for plain SGD.

    With f the loss on the batch, g its gradient, and eta the LR of the update before:

        eta = min(max_lr, eta gamma^(1 / growth_steps))
        while not f(theta - eta g) <= f(theta) - c eta ||g||^2:    eta = shrink eta

    Each trial is a forward pass, and counted as cost. If a trial is NaN the search ends at once: this update has LR 0,
    and the next one begins from shrink eta. After `max_trials` trials without success this update has LR 0 too. Where
    f or g are not finite already, this update has LR 0 without a trial, and eta stays. An update with LR 0 leaves the
    weights as they are, whatever the gradient.

    It takes the loss of one batch at its word: where batches are small or the model can fit a batch at once (Vaswani et
    al. assume interpolation), the LRs follow the noise.

    Raises:
        ValueError: a parameter is out of its range.

    Source: Vaswani et al. 2019, Painless Stochastic Gradient, equation 1 and algorithm 1; Armijo 1966.
    """

    initial_lr: Annotated[float, "eta before the first update"] = 1.0
    c: Annotated[float, "how much of the decrease that the gradient promises must come true", Range(0, 1)] = 0.1
    shrink: Annotated[float, "what eta is multiplied by after a trial that failed", Range(0, 1)] = 0.9
    gamma: Annotated[float, "what eta may grow by in growth_steps updates", Range(1)] = 2.0
    growth_steps: Annotated[int, "in how many updates eta may grow by gamma: usually those of an epoch", Range(1)] = 500
    max_lr: Annotated[NonNegative, "upper bound of eta"] = 10.0
    max_trials: Annotated[int, "trials of an update before it is left out", Range(1)] = 100

    def __post_init__(self) -> None:
        check_parameters(self)
        check_number("initial_lr", self.initial_lr, 0, self.max_lr)
        if self.initial_lr == 0:
            raise ValueError("initial_lr: must be greater than 0: eta grows from it")
        for name in ("c", "shrink"):
            if getattr(self, name) in (0, 1):
                raise ValueError(f"{name}: must be greater than 0 and less than 1, got {getattr(self, name)!r}")

    def incompatible_with(self, optimizer: OptimizerSettings) -> str:
        plain = isinstance(optimizer, SGD) and not (optimizer.momentum or optimizer.weight_decay)
        return "" if plain else "it tries gradient steps, and needs sgd without momentum and weight decay"

    def init(self) -> Any:
        return {"eta": self.initial_lr, "lr": self.initial_lr}

    def __call__(self, _step: int, state: Any) -> float:
        return float(state["lr"])

    def probe(self, state: Any, context: UpdateContext) -> Any:
        eta = min(self.max_lr, state["eta"] * self.gamma ** (1 / self.growth_steps))
        slope = context.slope()
        if not (math.isfinite(context.loss) and math.isfinite(slope)):
            return {"eta": state["eta"], "lr": 0.0}
        for _ in range(self.max_trials):
            loss = context.loss_at(eta)
            if loss <= context.loss - self.c * eta * slope:
                return {"eta": eta, "lr": eta}
            eta *= self.shrink
            if math.isnan(loss):
                break
        return {"eta": eta, "lr": 0.0}

    def update(self, state: Any, _seen: Observation) -> Any:
        return state
