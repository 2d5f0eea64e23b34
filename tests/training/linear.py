"""Linear regression as the trainer's tests train it, an adaptive schedule, and optimizers of the workload's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lrctl.contracts import optimizers
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation
from lrctl.recipe.workloads import load_workload

ADAMW = optimizers.AdamW()
SPEC = TrainSpec("linear-regression", {}, "", 0, ADAMW)
LINEAR = load_workload("linear-regression", {}, 0)
RAMP = PiecewiseLinear(((0, 0.0), (5, 0.3), (24, 0.0)))


@dataclass(frozen=True)
class Bounce:
    """A scripted adaptive schedule: up by half when the loss falls, to a third when it rises."""

    lr: float = 0.05

    def init(self) -> Any:
        return {"lr": self.lr, "seen": [], "last": None}

    def __call__(self, _step: int, state: Any) -> float:
        return float(state["lr"])

    def update(self, state: Any, seen: Observation) -> Any:
        falls = state["last"] is None or seen.loss < state["last"]
        lr = state["lr"] * (1.5 if falls else 1 / 3)
        return {"lr": lr, "seen": [*state["seen"][-2:], seen.step], "last": seen.loss}


@dataclass
class Own:
    """Linear regression with an optimizer of its own."""

    make: Callable[[torch.nn.Module], torch.optim.Optimizer]

    def __getattr__(self, name: str) -> Any:
        return getattr(LINEAR, name)

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        return self.make(model)


class Spy(torch.optim.SGD):
    """SGD that notes the LR of each group at each update."""

    def __init__(self, groups: Any) -> None:
        super().__init__(groups, lr=123.0)
        self.used: list[list[float]] = []

    def step(self, closure: Any = None) -> Any:
        self.used.append([group["lr"] for group in self.param_groups])
        return super().step(closure)
