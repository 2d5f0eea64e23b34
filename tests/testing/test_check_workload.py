"""The check of workloads for authors of plugins: built-in ones pass it, and what is broken does not."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrctl import testing
from lrctl.registry.registry import registry
from lrctl.registry.values import build
from testing.trials import count

WITHOUT_MODELS = [
    part.name
    for part in registry().of("workload")
    if "finetune" not in part.target.__module__ and "program" not in part.marks
]
"""Workloads that lrctl trains, and that need no model of the hub; tests/workloads/finetune has tiny models."""


@pytest.mark.parametrize("name", WITHOUT_MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_built_in_workload_keeps_its_contract(
    name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    words = random.Random(0).choices(["a", "cat", "sat", "on", "the", "mat"], k=4000)
    (tmp_path / "text.txt").write_text(" ".join(words))
    if name == "images" and importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs scikit-learn: pip install 'lrctl[images]'")
    small = {"path": str(tmp_path / "text.txt"), "tokenizer": "bytes", "d_model": 8, "heads": 2, "dropout": 0.1}
    part = registry().get("workload", name)
    params = build(part.params, small if name == "gpt" else {}, name)
    testing.check_workload(part.target(params, seed))


class Sound:
    def prepare(self) -> str:
        return "digest"

    def model(self) -> nn.Module:
        return nn.Linear(2, 1)

    def batch(self, step: int) -> Tensor:
        return torch.full((3, 2), 1.0 + step)

    def loss(self, model: Any, batch: Tensor) -> Tensor:
        loss: Tensor = model(batch).square().mean()
        return loss

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        return {"loss": float(self.loss(model, self.batch(len(split))))}


class TwoDigests(Sound):
    def prepare(self) -> str:
        return str(next(count))


class NoScalar(Sound):
    def loss(self, model: Any, batch: Tensor) -> Tensor:
        return super().loss(model, batch).repeat(2)


class NoGradient(Sound):
    def loss(self, model: Any, batch: Tensor) -> Tensor:
        return super().loss(model, batch).detach()


class OtherBatches(Sound):
    def batch(self, step: int) -> Tensor:
        return super().batch(step) + next(count)


class OtherMetrics(Sound):
    def evaluate(self, _model: Any, split: str) -> dict[str, float]:
        return {"loss": len(split) + next(count)}


class OneSplit(Sound):
    def evaluate(self, model: Any, _split: str) -> dict[str, float]:
        return super().evaluate(model, "test")


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (nn.Linear(1, 1), "Linear lacks model, batch, loss or evaluate"),
        (TwoDigests(), r"prepare\(\) gave two digests"),
        (NoScalar(), r"must return a scalar tensor, .* got a tensor of shape \(2,\); return its mean"),
        (NoGradient(), "got one without a gradient"),
        (OtherBatches(), r"OtherBatches: batch: batch\(0\) gave another batch when it was asked for again"),
        (OtherMetrics(), "evaluating validation twice gave different metrics"),
        (OneSplit(), "validation and test have the same metrics"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_workloads_finds_what_is_broken(workload: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_workload(workload)


def test_the_check_of_workloads_passes_a_sound_one() -> None:
    testing.check_workload(Sound())
