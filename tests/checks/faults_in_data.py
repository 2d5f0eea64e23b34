"""Workloads as users write them, each with one fault in its data or in what it takes from outside."""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import Any

import torch
from torch import Tensor, nn

from checks.sound import Sound

DRAWN_AT_IMPORT = random.SystemRandom().random()


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
