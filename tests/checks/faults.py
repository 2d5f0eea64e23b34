"""Workloads as users write them, each with one fault: `Sound` has none."""

from __future__ import annotations

import copy
import itertools
import os
import random
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

SPLITS = {"train": (0, 256), "score": (256, 320), "validation": (320, 384), "test": (384, 448)}
DRAWN_AT_IMPORT = random.SystemRandom().random()


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


# Data


class Rows(torch.utils.data.Dataset[Tensor]):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Tensor:
        return self.rows[i]


class CountsCalls(Sound):
    calls = 0

    def batch(self, step: int) -> Any:  # noqa: ARG002
        self.calls += 1
        return super().batch(self.calls)


class LoaderIterator(Sound):
    def batch(self, step: int) -> Any:  # noqa: ARG002
        loader: Any = torch.utils.data.DataLoader(Rows(self.part("train")), 8, generator=self.generator(), shuffle=True)
        self.batches = getattr(self, "batches", None) or itertools.cycle(loader)
        return next(self.batches)

    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


class FreshIterator(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.loader: Any = torch.utils.data.DataLoader(
            Rows(self.part("train")), 8, shuffle=True, generator=torch.Generator().manual_seed(seed)
        )

    def batch(self, step: int) -> Any:  # noqa: ARG002
        return next(iter(self.loader))


class FirstBatchOnly(Sound):
    def batch(self, step: int) -> Any:  # noqa: ARG002
        loader: Any = torch.utils.data.DataLoader(Rows(self.part("train")), 8)
        return next(iter(loader))


class AugmentsInPlace(Sound):
    def batch(self, step: int) -> Any:
        rows = self.part("train")[8 * step : 8 * step + 8]
        return rows.add_(0.1 * torch.randn_like(rows))


class NormalisesInPlace(Sound):
    def batch(self, step: int) -> Any:
        return self.part("train")[8 * step : 8 * step + 8]

    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch.div_(batch.std() + 0.1))


class UnseededShuffle(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        rows = list(range(256))
        random.Random().shuffle(rows)
        self.data[:256] = self.data[:256][rows]


class UnseededWeights(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.first = torch.randn(8, 4, generator=(generator := torch.Generator()))
        generator.seed()
        self.first = torch.randn(8, 4, generator=generator)

    def model(self) -> nn.Module:
        made: Any = super().model()
        made[0].weight.data.copy_(self.first)
        return made  # type: ignore[no-any-return]


class HashOrder(Sound):
    def batch(self, step: int) -> Any:
        names = {f"file{i}" for i in range(256)}
        order = [int(name[4:]) for name in names]
        return self.part("train")[[order[(8 * step + i) % 256] for i in range(8)]]


class Clock(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) * (1 + time.perf_counter() % 1)


class Date(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) * (1 + time.time() // 86_400 / 100)


class DrawnAtImport(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) * (1 + DRAWN_AT_IMPORT)


class ProcessId(Sound):
    def batch(self, step: int) -> Any:
        return super().batch(step + os.getpid())


# Model and loss


class OneModel(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.only = super().model()

    def model(self) -> nn.Module:
        return self.only


class SharedEmbedding(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        torch.manual_seed(seed)
        self.pretrained = nn.Linear(4, 4)

    def model(self) -> nn.Module:
        return nn.Sequential(self.pretrained, super().model())


class LossGenerator(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.noise = torch.Generator().manual_seed(seed)

    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch + 0.1 * torch.randn(batch.shape, generator=self.noise))


class LossCounter(Sound):
    steps = 0

    def loss(self, model: Any, batch: Any) -> Any:
        self.steps += 1
        return super().loss(model, batch) * min(1.0, self.steps / 100)


class Curriculum(Sound):
    """Turns to whole batches once the loss of one is low, and never back."""

    whole = False

    def loss(self, model: Any, batch: Any) -> Any:
        loss = super().loss(model, batch if self.whole else batch[:4])
        self.whole = self.whole or int(model[1].num_batches_tracked) > 4
        return loss


class Counting(nn.Linear):
    count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return super().forward(x) * (1 + self.count / 100)


class PythonAttribute(Sound):
    def model(self) -> nn.Module:
        return nn.Sequential(Counting(4, 1))


class Fading(nn.Linear):
    scale: Tensor

    def __init__(self) -> None:
        super().__init__(4, 1)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.scale *= 0.9
        return super().forward(x) * self.scale.clone()


class UnsavedBuffer(Sound):
    def model(self) -> nn.Module:
        return nn.Sequential(Fading())


class NegativeLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) - 100


class SummedLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return (model(batch) - batch.sum(1, keepdim=True)).square().sum()


class LossAndAccuracy(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch), model(batch).mean()

    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": float(self.loss(model, self.part(split))[0])}


class LossOfEachRow(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return (model(batch) - batch.sum(1, keepdim=True)).square().mean(1)

    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": float(self.loss(model, self.part(split)).mean())}


class Detached(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch).detach()


class KeepsLosses(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.history: list[Tensor] = []

    def loss(self, model: Any, batch: Any) -> Any:
        self.history.append(super().loss(model, batch))
        return self.history[-1]


class KeepsOutputs(Sound):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.outputs: list[Any] = []

    def loss(self, model: Any, batch: Any) -> Any:
        self.outputs.append(model(batch).detach().repeat(1, 2048).numpy())
        return super().loss(model, batch)


# Optimizer


class Wrapped(torch.optim.SGD):
    """Looks ahead: every fifth step goes half way back, to weights kept nowhere else."""

    def step(self, closure: Any = None) -> Any:
        if not hasattr(self, "slow"):
            self.slow = copy.deepcopy(self.param_groups[0]["params"])
            self.calls = itertools.count(1)
        super().step(closure)
        if next(self.calls) % 5 == 0:
            with torch.no_grad():
                for fast, slow in zip(self.param_groups[0]["params"], self.slow, strict=True):
                    slow.lerp_(fast, 0.5)
                    fast.copy_(slow)


class StateBeside(Sound):
    def optimizer(self, model: Any) -> Any:
        return Wrapped(model.parameters(), lr=0.1)


class Masters(torch.optim.SGD):
    """Steps float32 copies of bfloat16 parameters, which no checkpoint holds."""

    def step(self, closure: Any = None) -> Any:
        if not hasattr(self, "masters"):
            self.masters = [p.detach().float() for p in self.param_groups[0]["params"]]
        with torch.no_grad():
            for parameter, master in zip(self.param_groups[0]["params"], self.masters, strict=True):
                master -= self.param_groups[0]["lr"] * parameter.grad.float()
                parameter.copy_(master)
        return closure


class LostMasters(Sound):
    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).bfloat16()

    def optimizer(self, model: Any) -> Any:
        return Masters(model.parameters(), lr=0.1)

    def loss(self, model: Any, batch: Any) -> Any:
        return mse_loss(model(10 * batch.bfloat16()).float(), batch.sum(1, keepdim=True))


class Scheduling(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        self.param_groups[0]["lr"] *= 0.9


class ChangesLR(Sound):
    def optimizer(self, model: Any) -> Any:
        return Scheduling(model.parameters(), lr=0.1)


class Ignoring(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        asked, self.param_groups[0]["lr"] = self.param_groups[0]["lr"], 0.01
        super().step(closure)
        self.param_groups[0]["lr"] = asked


class IgnoresLR(Sound):
    def optimizer(self, model: Any) -> Any:
        return Ignoring(model.parameters(), lr=0.1)


class Gathering(torch.optim.SGD):
    """Steps at every second call only."""

    calls = 0

    def step(self, closure: Any = None) -> Any:
        self.calls += 1
        return None if self.calls % 2 else super().step(closure)


class EverySecondStep(Sound):
    def optimizer(self, model: Any) -> Any:
        return Gathering(model.parameters(), lr=0.1)


class OtherParameters(Sound):
    def optimizer(self, model: Any) -> Any:
        return torch.optim.SGD([*model.parameters(), nn.Parameter(torch.ones(3))], lr=0.1)


class OwnGroups(Sound):
    def optimizer(self, model: Any) -> Any:
        groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[4].parameters(), "lr": 0.01}]
        return torch.optim.SGD(groups, lr=0.1)


class FrozenFirstGroup(Sound):
    def optimizer(self, model: Any) -> Any:
        groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[4].parameters(), "lr": 0.01}]
        return torch.optim.SGD(groups, lr=0.1)


class Unstorable(torch.optim.SGD):
    def state_dict(self) -> Any:
        return {**super().state_dict(), "seen": {1, 2}}


class StateOfAnotherKind(Sound):
    def optimizer(self, model: Any) -> Any:
        return Unstorable(model.parameters(), lr=0.1)


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


# Evaluation


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
