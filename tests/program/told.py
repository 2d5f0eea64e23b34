"""What a program that is told a job trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Told = Callable[..., dict[str, Any]]


def sgd(**settings: Any) -> torch.optim.Optimizer:
    one, other = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    return torch.optim.SGD([{"params": [one]}, {"params": [other], **settings}], lr=0.1)


def lrs(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def loss_of(split: str) -> dict[str, Any]:
    return {"loss": torch.tensor(0.5), "other": float("nan")} | ({"n": 1} if split == "test" else {})
