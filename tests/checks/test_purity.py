"""The first look at a user's own workload: what would make results wrong is an error that names the rule."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from checks.faults_in_training import SlowWeights
from lrctl.checks import purity
from lrctl.checks.purity import check_purity
from lrctl.checks.rules import STEPS, Subject
from lrctl.contracts.job import TrainSpec
from lrctl.errors import UsageError
from searches import search, smoke

SPEC = TrainSpec("mine.py:Mine", {}, "", 0, None)


class Sound:
    """A small regression that keeps every rule, dropout and batch normalisation included."""

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters())

    def batch(self, step: int) -> Tensor:
        return torch.randn(8, 4) + 0 * step

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True))

    def evaluate(self, _model: nn.Module, _split: str) -> dict[str, float]:
        return {"loss": 1.0}


def test_a_sound_workload_passes() -> None:
    check_purity(Sound(), SPEC)


class Iterating(Sound):
    def __init__(self) -> None:
        self.batches: Iterator[Tensor] = iter([torch.randn(8, 4) for _ in range(512)])

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return next(self.batches)


class OwnGenerator(Sound):
    def __init__(self) -> None:
        self.random = torch.Generator()

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return torch.randn(8, 4, generator=self.random)


class OwnNoise(OwnGenerator):
    def batch(self, step: int) -> Tensor:
        return Sound.batch(self, step)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return super().loss(model, batch + torch.randn(8, 4, generator=self.random))


class InPlace(Sound):
    def __init__(self) -> None:
        self.data = torch.randn(8, 4)

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return self.data.mul_(1.01)


class OneModel(Sound):
    def __init__(self) -> None:
        self.only = super().model()

    def model(self) -> nn.Module:
        return self.only


class Counting(nn.Linear):
    """A model that keeps a count in a Python attribute."""

    count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return super().forward(x) * (1 + self.count / 100)


class Fading(nn.Linear):
    """A model that keeps a running number in a buffer that is no part of its state_dict."""

    def __init__(self) -> None:
        super().__init__(4, 1)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.scale: Tensor
        self.scale *= 0.9
        return super().forward(x) * self.scale.clone()


class Ignoring(torch.optim.SGD):
    """Takes steps of its own length, whatever LR it is given."""

    def step(self, closure: Any = None) -> Any:
        set_, self.param_groups[0]["lr"] = self.param_groups[0]["lr"], 0.01
        super().step(closure)
        self.param_groups[0]["lr"] = set_


def of_model(make: Callable[[], nn.Module]) -> Any:
    return type("Mine", (Sound,), {"model": lambda _: make()})()


def of_optimizer(make: Callable[[Any], Any]) -> Any:
    return type("Mine", (Sound,), {"optimizer": lambda _, model: make(model)})()


IMPURE: dict[str, tuple[Callable[[], Any], str]] = {
    "an iterator that goes on": (Iterating, r"batch\(0\) gave another batch when it was asked for again"),
    "a generator of its own": (OwnGenerator, r"batch\(0\) gave another batch when it was asked for again"),
    "noise of its own": (OwnNoise, "the same steps gave other losses after another job"),
    "data changed in place": (InPlace, r"batch\(0\) gave another batch when it was asked for again"),
    "one model each time": (OneModel, "gives the same model each time"),
    "a Python attribute": (lambda: of_model(lambda: Counting(4, 1)), "a run that is cut after 2 steps"),
    "a buffer that is not saved": (lambda: of_model(Fading), "a run that is cut after 2 steps"),
    "slow weights": (lambda: of_optimizer(lambda m: SlowWeights(m.parameters())), "a run that is cut after 2 steps"),
    "an LR that is not used": (lambda: of_optimizer(lambda m: Ignoring(m.parameters())), "gave the same losses"),
}


@pytest.mark.parametrize(("make", "rule"), IMPURE.values(), ids=IMPURE)
def test_a_broken_rule_is_named(make: Callable[[], Any], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        check_purity(make(), SPEC)


MINE = """
import torch

class Mine:
    def __init__(self, seed):
        self.batches = iter(torch.utils.data.DataLoader(torch.randn(4096, 2), 4))

    def model(self): return torch.nn.Linear(2, 1)
    def batch(self, step): return next(self.batches)
    def loss(self, model, batch): return model(batch).square().mean()
    def evaluate(self, model, split): return {"loss": 1.0}
"""


def test_a_search_on_a_users_own_workload_begins_with_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    recipe = smoke(workload__name=f"{tmp_path}/mine.py:Mine", optimizer__name="adamw")
    with pytest.raises(UsageError, match=r"Mine: batch\(0\) gave another batch .* DataLoader"):
        search(tmp_path / "store", recipe)


RELATIVE = """
import torch
from lrctl.recipe.workloads import load_workload

class Relative(torch.optim.SGD):
    # As Adafactor with relative steps: it decides the length of its steps itself.
    def step(self, closure=None):
        asked = self.param_groups[0]["lr"]
        self.param_groups[0]["lr"] = 0.01
        super().step(closure)
        self.param_groups[0]["lr"] = asked

class Mine:
    def __init__(self, seed): self.inner = load_workload("linear-regression", {}, seed)
    def optimizer(self, model): return Relative(model.parameters())
    def model(self): return self.inner.model()
    def batch(self, step): return self.inner.batch(step)
    def loss(self, model, batch): return self.inner.loss(model, batch)
    def evaluate(self, model, split): return self.inner.evaluate(model, split)
"""


def test_candidates_whose_losses_are_the_same_to_the_bit_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrctl.checks.purity.check_purity", lambda *_: None)  # as for a workload of a plugin
    (tmp_path / "mine.py").write_text(RELATIVE)
    with pytest.raises(UsageError, match=r"candidates with different LRs have the same mean loss to the bit"):
        search(tmp_path / "store", smoke(workload__name=f"{tmp_path}/mine.py:Mine"))


LOSSES = np.ones(STEPS, np.float32)


@pytest.mark.parametrize(
    ("device", "deterministic", "expected"),
    [("cpu", True, False), ("cpu", False, False), ("mps", True, False), ("cuda", True, False), ("cuda", False, True)],
)
def test_losses_that_are_near_are_the_same_where_they_are_when_a_job_is_made_again(
    device: str, deterministic: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, count = replace(SPEC, device=device, deterministic=deterministic), itertools.count()
    near = lambda *_, **__: SimpleNamespace(losses=LOSSES * (1 + 1e-6 * next(count)), state={})  # noqa: E731
    monkeypatch.setattr(Subject, "train", near)
    monkeypatch.setattr(purity, "FIRST_USE", (purity.OTHER_JOBS,))
    assert spec.exact is not expected
    with nullcontext() if expected else pytest.raises(UsageError, match="the same steps gave other losses") as error:
        check_purity(Sound(), spec)
    if error:
        assert ("training.deterministic=false" in str(error.value)) is (device != "cpu")
