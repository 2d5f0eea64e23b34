"""A small residual network with batch normalisation on scikit-learn's digits: SGD, Nesterov momentum 0.9."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from lrctl.contracts.workload import drawn

Images = tuple[Tensor, Tensor]


def conv_bn(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(c_out))


class BasicBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv_bn(channels, channels), conv_bn(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class ResNet(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = conv_bn(1, width)
        self.block1 = BasicBlock(width)
        self.down = conv_bn(width, 2 * width, stride=2)
        self.block2 = BasicBlock(2 * width)
        self.fc = nn.Linear(2 * width, 10)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.block1(F.relu(self.stem(x)))
        x = self.block2(F.relu(self.down(x)))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class DigitsCNN:
    def __init__(self, seed: int, width: int = 12, batch_size: int = 32) -> None:
        self.seed, self.width, self.batch_size = seed, width, batch_size
        digits = load_digits()
        order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
        self.x = (torch.tensor(digits.images, dtype=torch.float32)[order, None] - 4.88) / 6.02
        self.y = torch.tensor(digits.target)[order]
        self.n_train, self.n_score = 900, 192
        self.held_out = {"validation": slice(1092, 1442), "test": slice(1442, 1797)}

    def model(self) -> ResNet:
        return ResNet(self.width)

    def optimizer(self, model: ResNet) -> torch.optim.Optimizer:
        decay = [p for p in model.parameters() if p.ndim > 1]
        other = [p for p in model.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 5e-4}, {"params": other, "weight_decay": 0.0}]
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)

    def batch(self, step: int) -> Images:
        rows = torch.from_numpy(drawn(self.seed, step, self.batch_size, self.n_train))
        x, y = self.x[rows], self.y[rows]
        shift = torch.randint(-1, 2, (2,), generator=torch.Generator().manual_seed(self.seed + 7919 * step)).tolist()
        return torch.roll(x, shift, dims=(2, 3)), y

    def score_batch(self, i: int) -> Images:
        first = self.n_train + i * self.batch_size % self.n_score
        return self.x[first : first + self.batch_size], self.y[first : first + self.batch_size]

    def loss(self, model: ResNet, batch: Images) -> Tensor:
        x, y = batch
        return F.cross_entropy(model(x), y)

    def evaluate(self, model: ResNet, split: str) -> dict[str, float]:
        rows = self.held_out[split]
        logits, y = model(self.x[rows]), self.y[rows]
        return {"loss": F.cross_entropy(logits, y).item(), "accuracy": (logits.argmax(1) == y).float().mean().item()}
