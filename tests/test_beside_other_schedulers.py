"""Our schedulers before and after others on one optimizer: what the user's LRs were stays known to all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR, SequentialLR

from lrctl.errors import UsageError
from lrctl.lr_scheduler import AdaptiveLR, GreedyLR, ScheduleLR
from optimizers.test_param_groups import FOUND, STEPS, exported
from test_lr_scheduler import saved

OWN = (3e-4, 1e-4, 6e-4)
SCALES = (1.0, 1e-4 / 3e-4, 0.5)
"""Of these groups: the last has an `lr_scale`."""
WARMUP = 4

Scheduler = Callable[..., Any]

FOLLOWING: dict[str, Scheduler] = {
    "ScheduleLR": lambda optimizer, **others: ScheduleLR(optimizer, FOUND, **others),
    "export": lambda optimizer, **others: exported(FOUND, "torch")["make_scheduler"](optimizer, **others),
}
ours = pytest.mark.parametrize("ours", FOLLOWING.values(), ids=FOLLOWING)


def optimizer_of(*, tensor: bool = False) -> torch.optim.Optimizer:
    groups: list[Any] = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in OWN]
    for group in groups:
        group["lr"] = torch.tensor(group["lr"], dtype=torch.float64) if tensor else group["lr"]
    groups[2]["lr_scale"] = 0.5
    return torch.optim.SGD(groups)


def lrs_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [float(group["lr"]) for group in optimizer.param_groups]


def used(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int, *metrics: float) -> list[list[float]]:
    lrs = []
    for _ in range(steps):
        lrs.append(lrs_of(optimizer))
        optimizer.step()
        scheduler.step(*metrics)
    return lrs


def found(start: int, stop: int) -> list[list[float]]:
    return [[scale * FOUND(step) for scale in SCALES] for step in range(start, stop)]


def warmup(optimizer: torch.optim.Optimizer) -> LinearLR:
    return LinearLR(optimizer, start_factor=0.1, total_iters=WARMUP)


def warmed_up() -> list[list[float]]:
    """What a warmup alone gives."""
    return used(optimizer := optimizer_of(), warmup(optimizer), WARMUP)


def in_sequence(optimizer: torch.optim.Optimizer, ours: Scheduler) -> SequentialLR:
    return SequentialLR(optimizer, [warmup(optimizer), ours(optimizer)], [WARMUP])


EVERY: dict[str, Scheduler] = {
    **FOLLOWING,
    "AdaptiveLR": lambda optimizer: AdaptiveLR(optimizer, "plateau", patience=0),
    "GreedyLR": lambda optimizer: GreedyLR(optimizer, patience=0),
}


@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize("ours", EVERY.values(), ids=EVERY)
def test_the_initial_lr_of_a_group_is_the_users(ours: Scheduler, tensor: bool) -> None:
    optimizer = optimizer_of(tensor=tensor)
    scheduler = ours(optimizer)
    used(optimizer, scheduler, 3, *([1.0] if isinstance(scheduler, AdaptiveLR) else []))
    assert [float(group["initial_lr"]) for group in optimizer.param_groups] == [*OWN]
    assert torch.is_tensor(optimizer.param_groups[0]["lr"]) == tensor


@ours
def test_a_warmup_before_reaches_the_users_lrs(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    lrs = used(optimizer, in_sequence(optimizer, ours), WARMUP + STEPS)
    assert lrs == warmed_up() + found(0, STEPS)
    assert max(itertools.chain(*lrs[:WARMUP])) < max(OWN)


@ours
def test_a_warmup_by_hand_leaves_the_schedule_as_it_is(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    used(optimizer, warmup(optimizer), WARMUP)
    assert used(optimizer, ours(optimizer), STEPS) == found(0, STEPS)


@ours
def test_a_scheduler_of_torch_made_afterwards_starts_from_the_users_lrs(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    used(optimizer, ours(optimizer), 5)
    after = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    assert used(optimizer, after, 4) == [[lr * (1 / (1 + step)) for lr in OWN] for step in range(4)]
    assert CosineAnnealingLR(optimizer, 10).base_lrs == [*OWN]


@pytest.mark.parametrize("after", [lambda o: CosineAnnealingLR(o, 6), lambda o: ExponentialLR(o, 0.5)])
@ours
def test_a_scheduler_of_torch_follows_ours_as_it_follows_torchs(ours: Scheduler, after: Scheduler) -> None:
    mine, theirs = optimizer_of(), optimizer_of()
    lambdas: list[Any] = [
        lambda step, s=scale, lr=lr: s * FOUND(step) / lr for scale, lr in zip(SCALES, OWN, strict=True)
    ]
    both = [(mine, ours(mine)), (theirs, LambdaLR(theirs, lambdas))]
    lrs = [used(o, SequentialLR(o, [first, after(o)], [5]), 12) for o, first in both]
    assert lrs[0] == [pytest.approx(each, rel=1e-12) for each in lrs[1]]
    assert lrs[0][5] == [*OWN]


@ours
def test_a_schedule_that_sees_the_run_starts_from_the_users_lrs_afterwards(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    used(optimizer, ours(optimizer), 5)
    assert GreedyLR(optimizer).get_last_lr() == [3e-4, 1e-4, 0.5 * 3e-4]
    assert AdaptiveLR(optimizer, "plateau").get_last_lr() == [3e-4 * scale for scale in SCALES]
    assert AdaptiveLR(optimizer, "hypergradient", scope="group").get_last_lr() == [3e-4, 1e-4, 0.5 * 3e-4]


@ours
def test_one_that_sees_the_run_starts_from_the_users_lrs_after_another_of_its_kind(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    used(optimizer, GreedyLR(optimizer, patience=0, smooth=False), 5, 1.0)
    assert lrs_of(optimizer) != [3e-4, 1e-4, 0.5 * 3e-4]
    assert GreedyLR(optimizer).get_last_lr() == [3e-4, 1e-4, 0.5 * 3e-4]
    assert used(optimizer, ours(optimizer), STEPS) == found(0, STEPS)


# Resuming


@pytest.mark.parametrize("order", ["optimizer first", "scheduler first", "optimizer before it is made"])
@ours
def test_a_sequence_resumes_at_every_step(ours: Scheduler, order: str) -> None:
    expected = used(optimizer := optimizer_of(), in_sequence(optimizer, ours), WARMUP + STEPS)
    first = optimizer_of()
    scheduler = in_sequence(first, ours)
    for at in range(WARMUP + STEPS):
        states = saved({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()})
        second = optimizer_of()
        if order == "optimizer before it is made":
            second.load_state_dict(states["optimizer"])
        again = in_sequence(second, ours)
        if order == "optimizer first":
            second.load_state_dict(states["optimizer"])
        again.load_state_dict(states["scheduler"])
        # The sequence sets no LR when it is loaded: a warmup goes on from that of the optimizer.
        second.load_state_dict(states["optimizer"])
        assert used(second, again, WARMUP + STEPS - at) == expected[at:]
        used(first, scheduler, 1)


@pytest.mark.parametrize("loaded", [False, True], ids=["a fresh optimizer", "its state loaded"])
@ours
def test_last_epoch_resumes_at_every_step(ours: Scheduler, loaded: bool) -> None:
    first = optimizer_of()
    scheduler = ours(first)
    for at in range(STEPS):
        second = optimizer_of()
        if loaded:
            second.load_state_dict(saved(first.state_dict()))
        again = ours(second, last_epoch=at - 1)
        assert used(second, again, STEPS - at) == found(at, STEPS)
        used(first, scheduler, 1)


@pytest.mark.parametrize("name", ["greedy", "plateau"])
@pytest.mark.parametrize("order", ["optimizer first", "scheduler first", "optimizer before it is made"])
def test_a_named_schedule_resumes_with_the_bounds_it_began_with(name: str, order: str) -> None:
    settings: dict[str, Any] = {"patience": 0, "factor": 0.5, "smooth": False} if name == "greedy" else {"patience": 0}
    losses = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.4, 0.3, 0.2]
    first = optimizer_of()
    scheduler = AdaptiveLR(first, name, **settings)
    states, expected = [], []
    for loss in losses:
        states.append(saved({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()}))
        expected += used(first, scheduler, 1, loss)
    for at, state in enumerate(states):
        second = optimizer_of()
        if order == "optimizer before it is made":
            second.load_state_dict(state["optimizer"])
        again = AdaptiveLR(second, name, **settings)
        if order == "optimizer first":
            second.load_state_dict(state["optimizer"])
        again.load_state_dict(state["scheduler"])
        if order == "scheduler first":
            second.load_state_dict(state["optimizer"])
        assert again.schedule == scheduler.schedule
        assert [lr for loss in losses[at:] for lr in used(second, again, 1, loss)] == expected[at:]


@ours
def test_a_state_of_another_kind_or_for_other_groups_is_refused(ours: Scheduler) -> None:
    optimizer = optimizer_of()
    scheduler = ScheduleLR(optimizer, FOUND)
    with pytest.raises(UsageError, match=r"^ScheduleLR: this is no state_dict of a ScheduleLR: 'scales' is missing$"):
        scheduler.load_state_dict(LambdaLR(optimizer_of(), lambda _: 1.0).state_dict())
    alone = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(UsageError, match=r"^ScheduleLR: the state is of 1 param groups, the optimizer has 3$"):
        scheduler.load_state_dict(ours(alone).state_dict())
