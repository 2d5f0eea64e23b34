"""Workloads as users write them, each with one fault in its model, its loss or its optimizer."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from checks.sound import Sound


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


class SlowWeights(torch.optim.SGD):
    """Looks ahead, as a wrapped optimizer does: every fifth step goes half way back, to weights kept nowhere else."""

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
        return SlowWeights(model.parameters(), lr=0.1)


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
