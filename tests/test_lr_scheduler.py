from __future__ import annotations

import copy
import io
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from cases import case
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation
from lrctl.errors import UsageError
from lrctl.lr_scheduler import ScheduleLR

STEPS = 12
HILL = PiecewiseLinear(((0, 0.0), (4, 0.3), (9, 0.0), (STEPS, 0.1)))


@dataclass(frozen=True)
class Falling:
    """Says nothing sensible beyond its end."""

    steps: int = STEPS

    def __call__(self, step: float) -> float:
        return 0.1 * (self.steps - step)


def optimizer_of(*lrs: float, tensor: bool = False) -> torch.optim.Optimizer:
    """An optimizer with a param group of one weight for each of these LRs."""
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": torch.tensor(lr) if tensor else lr} for lr in lrs]
    return torch.optim.SGD(groups)


def used(optimizer: torch.optim.Optimizer, scheduler: Any, start: int = 0) -> list[tuple[float, ...]]:
    """The LRs that updates `start` to STEPS - 1 use."""
    lrs = []
    for _ in range(start, STEPS):
        lrs.append(tuple(float(group["lr"]) for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    return lrs


def saved(state: Any) -> Any:
    """A state as torch reads it back without running code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("lr", [0.0, 1e-3, 5.0])
def test_each_update_uses_the_schedules_lr_whatever_the_optimizers_was(lr: float) -> None:
    optimizer = optimizer_of(lr)
    assert used(optimizer, ScheduleLR(optimizer, HILL)) == [(HILL(step),) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("lrs", "ratios"),
    [((0.1, 0.05), (1.0, 0.5)), ((0.01, 0.04, 0.0), (1.0, 4.0, 0.0)), ((0.0, 0.0), (1.0, 1.0))],
    ids=["two", "the first is the unit", "all 0"],
)
def test_param_groups_keep_the_ratio_to_the_first(lrs: tuple[float, ...], ratios: tuple[float, ...]) -> None:
    optimizer = optimizer_of(*lrs)
    scheduler = ScheduleLR(optimizer, HILL)
    assert used(optimizer, scheduler) == [tuple(r * HILL(step) for r in ratios) for step in range(STEPS)]


ORDERS = ["optimizer first", "optimizer before the scheduler is made", "scheduler first", "last_epoch only"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_it_resumes_at_any_step(order: str, tensor: bool) -> None:
    for at in range(STEPS):
        with case(at=at):
            resumes(at, order, tensor)


def resumes(at: int, order: str, tensor: bool) -> None:
    first = optimizer_of(0.1, 0.025, tensor=tensor)
    scheduler = ScheduleLR(first, HILL)
    expected = used(first, scheduler)
    first = optimizer_of(0.1, 0.025, tensor=tensor)
    scheduler = ScheduleLR(first, HILL)
    for _ in range(at):
        first.step()
        scheduler.step()
    states = saved({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()})

    second = optimizer_of(0.1, 0.025, tensor=tensor)
    if order == "optimizer before the scheduler is made":
        second.load_state_dict(states["optimizer"])
    again = ScheduleLR(second, HILL, last_epoch=at - 1 if order == "last_epoch only" else -1)
    if order == "optimizer first":
        second.load_state_dict(states["optimizer"])
    if order != "last_epoch only":
        again.load_state_dict(states["scheduler"])
        assert again.state_dict() == scheduler.state_dict()
    if order == "scheduler first":
        second.load_state_dict(states["optimizer"])
    assert again.get_last_lr() == [group["lr"] for group in second.param_groups]
    assert used(second, again, at) == expected[at:]


def test_a_scheduler_made_twice_on_one_optimizer_starts_over() -> None:
    optimizer = optimizer_of(0.1, 0.05)
    expected = used(optimizer, ScheduleLR(optimizer, HILL))
    assert used(optimizer, ScheduleLR(optimizer, HILL)) == expected


def test_the_schedule_is_not_part_of_the_state() -> None:
    scheduler = ScheduleLR(optimizer_of(0.1), HILL)
    assert "schedule" not in scheduler.state_dict()
    state = copy.deepcopy(scheduler.state_dict())
    other = ScheduleLR(optimizer_of(0.1), Falling())
    other.load_state_dict(state)
    assert other.get_last_lr() == [0.1 * STEPS]


def test_a_schedule_that_knows_its_length_stays_as_it_is_at_its_end() -> None:
    optimizer = optimizer_of(0.1)
    scheduler = ScheduleLR(optimizer, Falling())
    used(optimizer, scheduler, -3)
    assert scheduler.get_last_lr() == [0.0]


@dataclass(frozen=True)
class Plateau:
    def init(self) -> Any:
        return 0

    def __call__(self, _step: int, _state: Any) -> float:
        return 0.1

    def update(self, state: Any, _seen: Observation) -> Any:
        return state


def test_an_adaptive_schedule_is_refused() -> None:
    expected = (
        r"^ScheduleLR: the LRs of Plateau are decided during a run; use AdaptiveLR, or export the run .*`lrctl export"
    )
    with pytest.raises(UsageError, match=expected):
        ScheduleLR(optimizer_of(0.1), Plateau())  # type: ignore[arg-type]
