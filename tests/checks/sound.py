"""Workloads as users write them that keep every rule; those with a fault are made of `Sound`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

SPLITS = {"train": (0, 256), "score": (256, 320), "validation": (320, 384), "test": (384, 448)}


class Sound:
    """A small regression that keeps every rule, dropout, batch normalisation and momentum included."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.data = torch.randn(448, 4, generator=torch.Generator().manual_seed(0))

    def part(self, name: str) -> Tensor:
        first, last = SPLITS[name]
        return self.data[first:last]

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))

    def optimizer(self, model: Any) -> Any:
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def batch(self, step: int) -> Any:
        order = torch.randperm(256, generator=torch.Generator().manual_seed(self.seed * 1_000_003 + step))
        return self.part("train")[order[:8]]

    def score_batch(self, i: int) -> Any:
        return self.part("score")[8 * i : 8 * i + 8] if i < 8 else list[Tensor]()[i]

    def loss(self, model: Any, batch: Any) -> Any:
        return mse_loss(model(batch), batch.sum(1, keepdim=True))

    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": float(self.loss(model, self.part(split)))}


class Streamed(Sound):
    """Sound, but for averages of its weights: its batches are not drawn again."""

    at = 0

    def carry(self, state: Any) -> None:
        self.at = 0 if state is None else state["at"]

    def carried(self) -> Any:
        return {"at": self.at}

    def batch(self, step: int) -> Any:  # noqa: ARG002
        self.at += 1
        return super().batch(self.at)
