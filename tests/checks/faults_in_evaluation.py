"""Workloads as users write them, each with one fault in how it is evaluated or scored."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from checks.sound import Sound


class AverageBeside(Sound):
    """Evaluates an average of the weights, which no checkpoint holds."""

    def model(self) -> nn.Module:
        made = super().model()
        self.average = copy.deepcopy(made)
        return made

    def loss(self, model: Any, batch: Any) -> Any:
        with torch.no_grad():
            for average, parameter in zip(self.average.parameters(), model.parameters(), strict=True):
                average.lerp_(parameter, 0.5)
        return super().loss(model, batch)

    def evaluate(self, model: Any, split: str) -> Any:  # noqa: ARG002
        self.average.eval()
        part = self.part(split)
        return {"loss": float(mse_loss(self.average(part), part.sum(1, keepdim=True)))}


class OneSplit(Sound):
    def evaluate(self, model: Any, split: str) -> Any:  # noqa: ARG002
        return super().evaluate(model, "validation")


class OverlappingSplits(Sound):
    def part(self, name: str) -> Tensor:
        return self.data[350:414] if name == "test" else super().part(name)


class ValidatesOnTraining(Sound):
    def part(self, name: str) -> Tensor:
        return self.data[:256] if name == "validation" else super().part(name)


class RandomEvaluation(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.random = torch.Generator().manual_seed(seed)

    def part(self, name: str) -> Tensor:
        part = super().part(name)
        return part if name in ("train", "score") else part[torch.randperm(64, generator=self.random)[:32]]


class TrainingMode(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        metrics = super().evaluate(model, split)
        model.train()
        return metrics


class MovesBatchNorm(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        model.train()
        metrics = super().evaluate(model, split)
        model.eval()
        return metrics


class NoLossAmongMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {"mse": super().evaluate(model, split)["loss"]}


class HarderAfterEvaluation(Sound):
    level = 0

    def batch(self, step: int) -> Any:
        return super().batch(step) * (1 + min(self.level, 1))

    def evaluate(self, model: Any, split: str) -> Any:
        self.level += 1
        return super().evaluate(model, split)


class RandomScores(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.random = iter(range(1000))

    def score_batch(self, i: int) -> Any:
        return self.part("score")[torch.tensor([i, next(self.random) % 64])]
