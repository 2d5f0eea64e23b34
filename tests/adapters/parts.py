"""Parts of a workload that are quick to make, and what is trained of them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import lrctl
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD
from lrctl.testing import SPEC, Constant
from lrctl.training.trainer import Trained, train

PLAIN = replace(SPEC, optimizer=SGD())


class Numbers:
    """Items 0 to n - 1, each with noise from every source of random numbers that transforms use."""

    def __init__(self, n: int, noise: float = 0.0, first: int = 0) -> None:
        self.n, self.noise, self.first = n, noise, first

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Tensor:
        drawn = random.random() + np.random.rand() + float(torch.rand(()))
        return torch.tensor([float(self.first + i), 1.0]) + self.noise * drawn


def square(model: Any, batch: Tensor) -> Tensor:
    found: Tensor = (model(batch * 0.1) - batch.sin()).square().mean()
    return found


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 2))


def made(**parts: Any) -> Any:
    given: dict[str, Any] = {
        "model": net,
        "train": Numbers(100),
        "held_out": Numbers(40, first=1000),
        "loss": square,
        "batch_size": 4,
    }
    return lrctl.workload(**(given | parts))


def trained(workload: Any, stop: int = 4, spec: Any = PLAIN, **more: Any) -> Trained:
    return train(workload, spec, SegmentJob(0, stop, Constant(0.01), **more))


def sgd(model: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": model[0].parameters(), "lr": 1.0}, {"params": model[2].parameters(), "lr": 0.5}])
