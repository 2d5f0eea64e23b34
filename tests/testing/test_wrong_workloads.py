"""Workloads that break their contract in less usual ways: the check for authors of plugins says how."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrctl import testing


class Sound:
    def model(self) -> Any:
        return nn.Linear(2, 1)

    def batch(self, step: int) -> Any:
        return torch.full((3, 2), 1.0 + step)

    def loss(self, model: Any, batch: Any) -> Any:
        return model(batch).square().mean()

    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": float(self.loss(model, self.batch(len(split))))}


class OneModel(Sound):
    kept = nn.Linear(2, 1)

    def model(self) -> Any:
        return self.kept


class NoModule(Sound):
    def model(self) -> Any:
        return lambda batch: batch

    def optimizer(self, _model: Any) -> Any:
        return None


class Iterating(Sound):
    def __init__(self) -> None:
        self.batches = iter(torch.arange(1000.0))

    def batch(self, _step: int) -> Any:
        return next(self.batches) * torch.ones(3, 2)


class FloatLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return float(super().loss(model, batch).detach())


class DictLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return {"nll": super().loss(model, batch)}


class TwoLosses(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch), model(batch), super().loss(model, batch)


class NanLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) * float("nan")


class NegativeLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return super().loss(model, batch) - 100


class FailingLoss(Sound):
    def loss(self, model: Any, batch: Any) -> Any:
        return model(batch.reshape(2, 3)).mean()


class NoMetrics(Sound):
    def evaluate(self, _model: Any, _split: str) -> Any:
        return None


class ListOfMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return [super().evaluate(model, split)["loss"], 0.5]


class OtherKey(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {"eval_loss": super().evaluate(model, split)["loss"]}


class TensorMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {"loss": super().evaluate(model, split)["loss"], "accuracy": torch.tensor(0.5)}


class TextMetrics(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return {**super().evaluate(model, split), "which": split}


class Validating(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        return super().evaluate(model, {"validation": split}[split])


class TrainsOn(Sound):
    def evaluate(self, model: Any, split: str) -> Any:
        metrics = super().evaluate(model, split)
        for parameter in model.parameters():
            parameter.mul_(0.5)
        return metrics


class ListOfOptimizers(Sound):
    def optimizer(self, model: Any) -> Any:
        return [torch.optim.SGD(model.parameters(), lr=0.1)]


class AnotherModels(Sound):
    def optimizer(self, _model: Any) -> Any:
        return torch.optim.SGD(self.model().parameters(), lr=0.1)


class NoDigest(Sound):
    def prepare(self) -> Any:
        return None


class OtherScores(Sound):
    count = iter(range(1000))

    def score_batch(self, _i: int) -> Tensor:
        return torch.full((3, 2), float(next(self.count)))


WORKLOADS: dict[str, tuple[Any, str]] = {
    "one model": (OneModel(), r"model\(\) gives the same model each time"),
    "no module": (NoModule(), r"model: must return a torch.nn.Module"),
    "an iterator": (Iterating(), r"batch\(0\) gave another batch when it was asked for again"),
    "loss is a float": (FloatLoss(), "must return a scalar tensor, .* got a float"),
    "loss is a dict": (DictLoss(), r"must return a scalar tensor, .* got a dict with 'nll': tensor of shape \(\)"),
    "two losses": (TwoLosses(), r"got a tuple of 3: tensor of shape \(\), tensor of shape \(3, 1\), tensor of shape"),
    "loss is NaN": (NanLoss(), "the loss of the untrained model is nan"),
    "loss below 0": (NegativeLoss(), "set signed_loss = True"),
    "loss fails": (FailingLoss(), "loss: RuntimeError: "),
    "no metrics": (NoMetrics(), "evaluate: must return metrics by name, .* got None"),
    "a list": (ListOfMetrics(), "evaluate: must return metrics by name, .* got a list of 2: float, float"),
    "another key": (OtherKey(), "evaluate: must return metrics by name, .* got a dict with 'eval_loss': float"),
    "text": (TextMetrics(), "evaluate: must return a number for each metric"),
    "one split only": (Validating(), "evaluation: KeyError: 'test'"),
    "trains as it evaluates": (TrainsOn(), r"evaluate\(\) changed the model"),
    "optimizers": (ListOfOptimizers(), "optimizer: must return one torch.optim.Optimizer, got a list"),
    "another model's optimizer": (AnotherModels(), "SGD holds none of the parameters of the model it was given"),
    "no digest": (NoDigest(), r"prepare\(\) gave None; return a digest of the data"),
    "other scores": (OtherScores(), r"score_batch\(i\) gave two batches for one i"),
}


@pytest.mark.parametrize(("workload", "message"), WORKLOADS.values(), ids=WORKLOADS)
def test_a_wrong_workload_is_found(workload: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_workload(workload)


def test_metrics_may_be_tensors_of_one_number() -> None:
    testing.check_workload(TensorMetrics())


def test_a_sound_workload_passes() -> None:
    testing.check_workload(Sound())
