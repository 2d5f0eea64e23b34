"""Optimizers that people bring: their state survives a checkpoint, and what lrctl cannot use is refused at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from installed_optimizers import INSTALLED
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Schedule
from lrctl.errors import UsageError
from lrctl.storage import checkpoint
from lrctl.testing import Constant
from lrctl.training.trainer import train

OWN = TrainSpec("mine.py:Mine", {}, "", 0, None)


class Pictures:
    """Convolutions and a linear layer, whose weights lie in memory as they are told."""

    def __init__(self, order: str, dtype: torch.dtype, optimizer: Callable[[Any], Any] | None = None) -> None:
        self.order, self.dtype, self.make = order, dtype, optimizer

    def model(self) -> Any:
        model: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).to(self.dtype)
        if self.order == "channels_last":
            model.to(memory_format=torch.channels_last)
        if self.order == "transposed":
            linear = model[3]
            linear.weight = nn.Parameter(torch.empty_like(linear.weight.T.contiguous()).copy_(linear.weight.T).T)
        return model

    def batch(self, step: int) -> Tensor:
        return torch.randn(4, 3, 6, 6, dtype=self.dtype) + 0 * step

    def loss(self, model: Any, batch: Tensor) -> Any:
        return model(batch).float().square().mean()

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        torch.manual_seed(len(split))
        return {"loss": float(self.loss(model, self.batch(0)))}


class WithOwn(Pictures):
    def optimizer(self, model: nn.Module) -> Any:
        assert self.make
        return self.make(model)


def cut_and_whole(workload: Any, spec: TrainSpec, schedule: Schedule) -> tuple[np.ndarray[Any, Any], Any]:
    """The losses of a run in one piece, and of one that is cut after three steps and saved."""
    whole = train(workload, spec, SegmentJob(0, 6, schedule, evaluate=("test",)))
    first = train(workload, spec, SegmentJob(0, 3, schedule))
    rest = train(workload, spec, SegmentJob(3, 6, schedule, evaluate=("test",)), checkpoint.round_trip(first.state))
    assert rest.metrics == whole.metrics
    return whole.losses, np.concatenate([first.losses, rest.losses])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("order", ["contiguous", "channels_last", "transposed"])
@pytest.mark.parametrize("name", INSTALLED)
def test_a_saved_state_trains_on_to_the_bit(name: str, order: str, dtype: torch.dtype) -> None:
    settings = {"sgd": {"momentum": 0.9}}.get(name, {})
    spec = replace(OWN, optimizer=INSTALLED[name](**settings))  # type: ignore[arg-type]
    whole, cut = cut_and_whole(Pictures(order, dtype), spec, PiecewiseLinear(((0, 0.0), (6, 0.02))))
    assert cut.tobytes() == whole.tobytes()


class Masters(torch.optim.Optimizer):
    """SGD that keeps weights in float32 beside those of the model, and a list of their sums."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {"lr": 0.1})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state.setdefault("master", p.float().clone())
                state.setdefault("sums", []).append(p.double().sum())
                state["master"] -= group["lr"] * p.grad.float()
                p.copy_(state["master"])


@pytest.mark.parametrize("order", ["contiguous", "channels_last"])
def test_masters_in_float32_of_weights_in_bfloat16_keep_their_type(order: str) -> None:
    whole, cut = cut_and_whole(WithOwn(order, torch.bfloat16, Masters), OWN, Constant(1e-3))
    assert cut.tobytes() == whole.tobytes()


class TwoWeights(torch.optim.SGD):
    """As schedule-free optimizers: trained at one point, evaluated at another."""

    at = "train"

    def train(self) -> None:
        self.move("train", 0.5)

    def eval(self) -> None:
        self.move("eval", 2.0)

    @torch.no_grad()
    def move(self, mode: str, factor: float) -> None:
        if mode != self.at:
            for p in self.param_groups[0]["params"]:
                p.mul_(factor)
            self.at = mode

    def step(self, closure: Any = None) -> Any:
        assert self.at == "train"
        return super().step(closure)


def test_an_optimizer_with_weights_to_evaluate_is_asked_for_them() -> None:
    plain = WithOwn("contiguous", torch.float32, lambda model: torch.optim.SGD(model.parameters()))
    switched = WithOwn("contiguous", torch.float32, lambda model: TwoWeights(model.parameters()))
    job = SegmentJob(0, 4, Constant(0.01), evaluate=("validation", "test"))
    one, other = train(plain, OWN, job), train(switched, OWN, job)
    assert one.losses.tobytes() == other.losses.tobytes()
    for name, weight in one.state["model"].items():
        assert torch.equal(weight, other.state["model"][name]), "what is handed on are the weights that are trained"
    assert other.metrics["test"]["loss"] > 1.5 * one.metrics["test"]["loss"]


def with_groups_of_tensors(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=torch.tensor(1e-3))


class Infinite(torch.optim.SGD):
    """Holds what Prodigy and D-Adaptation hold in their groups."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters())
        self.param_groups[0] |= {"growth_rate": float("inf"), "d": np.float64(1e-6), "k": np.int64(0)}

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["k"] += 1
        self.param_groups[0]["d"] *= np.float32(1.5)
        return super().step(closure)


@pytest.mark.parametrize("make", [with_groups_of_tensors, Infinite], ids=["an LR as a tensor", "infinite and numpy"])
def test_what_param_groups_hold_survives(make: Callable[[Any], Any]) -> None:
    whole, cut = cut_and_whole(WithOwn("contiguous", torch.float32, make), OWN, Constant(0.1))
    assert cut.tobytes() == whole.tobytes()


class Complex(Pictures):
    def model(self) -> nn.Module:
        return nn.Linear(6, 2, dtype=torch.complex64)

    def loss(self, model: Any, batch: Tensor) -> Any:
        return model(batch.to(torch.complex64)).abs().mean()


def test_complex_parameters_are_trained() -> None:
    spec = replace(OWN, optimizer=AdamW())
    whole, cut = cut_and_whole(Complex("contiguous", torch.float32), spec, Constant(0.01))
    assert cut.tobytes() == whole.tobytes()
    assert whole[-1] != whole[0]


class Evaluated(Pictures):
    def model(self) -> nn.Module:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 2))
        model[1].eval()
        return model


def test_parts_that_are_handed_over_in_evaluation_mode_stay_in_it() -> None:
    workload = Evaluated("contiguous", torch.float32)
    trained = train(workload, replace(OWN, optimizer=AdamW()), SegmentJob(0, 3, Constant(0.01), evaluate=("test",)))
    assert int(trained.state["model"]["1.num_batches_tracked"]) == 0
    again = train(workload, replace(OWN, optimizer=AdamW()), SegmentJob(3, 5, Constant(0.01)), trained.state)
    assert int(again.state["model"]["1.num_batches_tracked"]) == 0


class Late(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        self.add_param_group({"params": [nn.Parameter(torch.ones(1))]})
        return super().step(closure)


class Resetting(torch.optim.SGD):
    """Sets the LR itself from its third step on."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        if self.steps > 2:
            self.param_groups[0]["lr"] = 0.5
        return super().step(closure)


class Dividing(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["scaled"] = 1 / self.param_groups[0]["lr"]
        return super().step(closure)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a list": (
        lambda model: [torch.optim.SGD(model.parameters())],
        r"WithOwn.optimizer: must return one torch.optim.Optimizer, got a list of 1",
    ),
    "a closure": (lambda model: torch.optim.LBFGS(model.parameters()), r"WithOwn.optimizer: LBFGS wants a closure"),
    "other parameters": (
        lambda _: torch.optim.SGD([nn.Parameter(torch.ones(2))]),
        r"WithOwn.optimizer: SGD holds none of the parameters of the model it was given",
    ),
    "groups added later": (
        lambda model: Late(model.parameters()),
        r"optimizer Late: it had 1 param groups when training began and has 2 at step 1",
    ),
    "an LR reset later": (lambda model: Resetting(model.parameters()), r"the optimizer used LR 0.5 instead of"),
    "divides by the LR": (
        lambda model: Dividing(model.parameters()),
        r"optimizer Dividing: it divides by the LR, which is 0",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=REFUSED)
def test_an_optimizer_that_cannot_be_used_is_refused(make: Callable[[Any], Any], said: str) -> None:
    workload: Any = WithOwn("contiguous", torch.float32, make)
    with pytest.raises(UsageError, match=said):
        train(workload, OWN, SegmentJob(0, 6, PiecewiseLinear(((0, 0.0), (6, 0.1)))))


DOORS: dict[str, tuple[str, Any, str]] = {
    "no model": ("model", lambda: None, r"Pictures.model: must return a torch.nn.Module, got None"),
    "a loss as a number": (
        "loss",
        lambda *_: 1.5,
        r"Pictures.loss: must return a scalar tensor, .* got a float; return the",
    ),
    "losses by name": ("loss", lambda *_: {"loss": 1}, r"Pictures.loss: .* got a dict with 'loss'"),
    "a loss and more": ("loss", lambda *_: (1, 2), r"Pictures.loss: .* got a tuple of 2"),
    "losses of each row": ("loss", lambda *_: torch.ones(4), r"got a tensor of shape \(4,\); return its mean"),
    "a loss without a gradient": ("loss", lambda *_: torch.ones(()), r"Pictures.loss: .* got one without a gradient"),
    "no metrics": ("evaluate", lambda *_: None, r"Pictures.evaluate: must return metrics by name, .* got None"),
    "two losses": ("evaluate", lambda *_: (2.0, 1.0), r"Pictures.evaluate: .* got a tuple of 2: float, float"),
    "other metrics": ("evaluate", lambda *_: {"accuracy": 1}, r"Pictures.evaluate: .* got a dict with 'accuracy'"),
    "metrics in words": ("evaluate", lambda *_: {"loss": "low"}, r"Pictures.evaluate: must return a number for each"),
    "metrics of each row": ("evaluate", lambda *_: {"loss": torch.ones(3)}, r"must return a number for each metric"),
    "a loss that is not finite": (
        "loss",
        lambda model, _: model[0].weight.sum() * float("nan"),
        r"the loss is nan at step 0",
    ),
}


@pytest.mark.parametrize(("door", "given", "said"), DOORS.values(), ids=DOORS)
def test_what_comes_in_is_checked_where_it_comes_in(
    door: str, given: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = Pictures("contiguous", torch.float32)
    monkeypatch.setattr(workload, door, given)
    with pytest.raises(UsageError, match=said):
        train(workload, replace(OWN, optimizer=AdamW()), SegmentJob(0, 2, Constant(0.1), evaluate=("test",)))


@pytest.mark.parametrize("loss", [1.5, torch.tensor(1.5), torch.tensor([1.5]), np.float32(1.5)])
def test_a_metric_may_be_any_number(loss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = Pictures("contiguous", torch.float32)
    monkeypatch.setattr(workload, "evaluate", lambda *_: {"loss": loss})
    trained = train(workload, replace(OWN, optimizer=AdamW()), SegmentJob(0, 1, Constant(0.1), evaluate=("test",)))
    assert trained.metrics == {"test": {"loss": 1.5}}
