"""What a workload carries from step to step is part of every checkpoint, to the bit, and nothing else touches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.storage import checkpoint
from lrctl.testing import SPEC, Constant, check_workload
from lrctl.training.trainer import Trained, train
from lrctl_schedules.line_search import LineSearch

PLAIN = replace(SPEC, optimizer=SGD())
STEPS = 6


class Walk:
    """A line through points that wander: each batch begins where the last one ended, and the loss has a memory."""

    def __init__(self) -> None:
        self.at, self.seen = 0, torch.zeros(2)

    def carry(self, state: Mapping[str, Any] | None) -> None:
        self.at, self.seen = (0, torch.zeros(2)) if state is None else (state["at"], state["seen"])

    def carried(self) -> Mapping[str, Any]:
        return {"at": self.at, "seen": self.seen}

    def model(self) -> nn.Module:
        return nn.Linear(2, 1)

    def batch(self, _step: int) -> Tensor:
        self.at += 3
        return torch.arange(self.at, self.at + 8).reshape(4, 2).sin()

    def loss(self, model: Any, batch: Tensor) -> Tensor:
        if model.training:
            self.seen.mul_(0.9).add_(batch.mean(0))
        found: Tensor = (model(batch + self.seen) - batch.sum(1, keepdim=True)).square().mean()
        return found

    def evaluate(self, model: Any, split: str) -> Any:
        return self.loss(model, torch.eye(2) * len(split))


def trained(start: int, stop: int, state: Any = None, workload: Any = None, **more: Any) -> Trained:
    job = SegmentJob(start, stop, PiecewiseLinear(((0, 0.1),)), **more)
    return train(workload or Walk(), PLAIN, job, state)


def test_a_workload_that_carries_state_keeps_the_contract() -> None:
    check_workload(Walk())


@pytest.mark.parametrize("cut", range(STEPS + 1))
def test_a_run_that_is_cut_anywhere_is_the_whole_run(cut: int) -> None:
    workload = Walk()
    whole = trained(0, STEPS, workload=workload)
    first = trained(0, cut, workload=workload, evaluate=("test",))
    state = checkpoint.round_trip(first.state)
    trained(0, 3, workload=workload)  # another job between them
    for again in (workload, Walk()):
        second = trained(cut, STEPS, state, again)
        assert [*first.losses, *second.losses] == [*whole.losses]
        assert second.state["carried"]["at"] == whole.state["carried"]["at"]
        assert torch.equal(second.state["carried"]["seen"], whole.state["carried"]["seen"])


def test_a_checkpoint_is_left_as_it_is_by_those_that_go_on_from_it() -> None:
    state = trained(0, 2).state
    assert [*trained(2, 4, state).losses] == [*trained(2, 4, state).losses]


class Still(Walk):
    """The same without a state."""

    carry = carried = None  # type: ignore[assignment]


def test_a_workload_that_carries_nothing_has_checkpoints_as_ever() -> None:
    assert [*trained(0, 2, workload=Still()).state] == ["model", "optimizer", "schedule"]


def test_a_line_search_which_computes_a_loss_again_is_refused() -> None:
    job = SegmentJob(0, 2, LineSearch(initial_lr=0.1))
    with pytest.raises(UsageError, match="Walk: it carries state from step to step, so that the loss of a batch"):
        train(Walk(), PLAIN, job)


class Noted(Still):
    """Notes what it is called with around each update."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Any] = []

    def before_update(self, model: Any, step: int) -> None:
        self.notes.append((step, "before", model.weight.grad is not None, torch.is_grad_enabled()))
        nn.utils.clip_grad_norm_(model.parameters(), 0.0)

    def after_update(self, model: Any, step: int) -> None:
        self.notes.append((step, "after", model.weight.grad is not None, torch.is_grad_enabled()))
        model.bias.fill_(float(step))


def test_hooks_are_called_around_each_update() -> None:
    workload = Noted()
    model = trained(0, 2, workload=workload).state["model"]
    assert workload.notes == [
        (0, "before", True, True), (0, "after", False, False), (1, "before", True, True), (1, "after", False, False),
    ]  # fmt: skip
    assert float(model["bias"]) == 1.0


def test_hooks_are_called_where_only_losses_are_asked_for_too() -> None:
    job = SegmentJob(0, 3, Constant(0.0))
    kept, lost = (train(Noted(), PLAIN, replace(job, checkpoint=each)) for each in (True, False))
    assert [*kept.losses] == [*lost.losses]
