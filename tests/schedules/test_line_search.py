"""Line search: what it accepts, what it costs, and what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.errors import UsageError
from lrctl.lr_scheduler import AdaptiveLR
from lrctl.recipe.workloads import load_workload
from lrctl.testing import Constant
from lrctl.training.trainer import Trained, train
from lrctl_schedules.line_search import LineSearch

LINEAR = load_workload("linear-regression", {}, 0)
SGD = TrainSpec("linear-regression", {}, "", 0, optimizers.SGD())
SEARCH = LineSearch(1.0, growth_steps=2)


@dataclass
class Watched:
    """Linear regression that notes each forward pass: the weights and the loss; `change` may change the loss."""

    build: Callable[[], torch.nn.Module] = LINEAR.model
    change: Callable[[Tensor, int], Tensor] = lambda loss, _count: loss
    weights: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    gradients: list[bool] = field(default_factory=list)
    models: list[torch.nn.Module] = field(default_factory=list)

    def model(self) -> torch.nn.Module:
        self.models.append(self.build())
        return self.models[-1]

    def batch(self, step: int) -> Any:
        return LINEAR.batch(step)

    def loss(self, model: torch.nn.Module, batch: Any) -> Tensor:
        loss = self.change(LINEAR.loss(model, batch), len(self.losses))
        self.weights.append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))
        self.losses.append(loss.item())
        self.gradients.append(torch.is_grad_enabled())
        return loss

    def evaluate(self, model: torch.nn.Module, split: str) -> Any:
        return LINEAR.evaluate(model, split)

    def trials(self) -> list[int]:
        """How many trials each update made."""
        starts = [i for i, with_gradient in enumerate(self.gradients) if with_gradient]
        return [stop - at - 1 for at, stop in zip(starts, [*starts[1:], len(self.gradients)], strict=True)]


def trained(workload: Watched, schedule: LineSearch = SEARCH, steps: int = 24) -> Trained:
    return train(workload, SGD, SegmentJob(0, steps, schedule))


def armijo(weights: Tensor, step: int, eta: float, c: float) -> tuple[float, float, Tensor]:
    """The loss of a batch after a gradient step, the greatest that is accepted, and the weights then."""
    model = LINEAR.model()
    (weight,) = model.parameters()
    weight.data = weights.reshape(weight.shape).clone()
    loss = LINEAR.loss(model, LINEAR.batch(step))
    (g,) = torch.autograd.grad(loss, [weight])
    weight.data = weight.data - eta * g
    after = LINEAR.loss(model, LINEAR.batch(step)).item()
    return after, loss.item() - c * eta * float(g.square().sum()), weight.data.flatten()


SEARCHES = {
    "default": LineSearch(),
    "grows fast": LineSearch(1.0, growth_steps=2),
    "asks for much": LineSearch(4.0, 0.5, 0.5, 2.0, 1),
    "bounded": LineSearch(0.05, max_lr=0.08, growth_steps=1),
}


@pytest.mark.parametrize("schedule", SEARCHES.values(), ids=SEARCHES)
def test_every_step_is_the_first_that_satisfies_armijo(schedule: LineSearch) -> None:
    watched = Watched()
    found = trained(watched, schedule)
    starts = [w for w, with_gradient in zip(watched.weights, watched.gradients, strict=True) if with_gradient]
    eta = schedule.initial_lr
    for step, (weights, trials, lr) in enumerate(zip(starts, watched.trials(), found.lrs, strict=True)):
        eta = min(schedule.max_lr, eta * schedule.gamma ** (1 / schedule.growth_steps))
        for trial in range(trials):
            loss, limit, end = armijo(weights, step, eta, schedule.c)
            accepted = trial == trials - 1
            assert loss <= limit + 1e-6 if accepted else loss > limit - 1e-6
            eta *= 1.0 if accepted else schedule.shrink
        assert lr == eta <= schedule.max_lr
        if step + 1 < len(starts):
            torch.testing.assert_close(starts[step + 1], end, rtol=1e-6, atol=1e-7)


def test_some_trials_fail_and_the_bound_is_reached() -> None:
    watched = Watched()
    trained(watched, SEARCHES["asks for much"])
    assert max(watched.trials()) > 1
    found = trained(Watched(), SEARCHES["bounded"])
    assert found.lrs[0] == 0.08
    assert max(found.lrs) == 0.08


def test_a_trial_that_is_accepted_is_the_step_that_is_taken() -> None:
    watched = Watched()
    trained(watched)
    starts = [i for i, with_gradient in enumerate(watched.gradients) if with_gradient]
    for start in starts[1:]:
        assert torch.equal(watched.weights[start], watched.weights[start - 1])


def test_weights_are_put_back_exactly_after_trials_that_failed() -> None:
    """No trial is ever good enough: the weights stay as they are, to the bit."""
    watched = Watched(change=lambda loss, count: loss + (0.0 if watched.models and count % 4 == 0 else 1e3))
    found = trained(watched, LineSearch(max_trials=3), 5)
    assert found.lrs == [0.0] * 5
    (end,) = found.state["model"].values()
    assert all(torch.equal(end.flatten(), w) for i, w in enumerate(watched.weights) if i % 4 == 0)
    assert all(not torch.equal(end.flatten(), w) for i, w in enumerate(watched.weights) if i % 4)


# Cost


def test_each_trial_is_counted() -> None:
    watched = Watched()
    found = trained(watched)
    assert found.extra_forwards == sum(watched.trials()) == len(watched.losses) - 24
    assert found.extra_forwards > 24
    assert train(LINEAR, SGD, SegmentJob(0, 24, Constant(0.1))).extra_forwards == 0


def test_a_trial_that_is_nan_ends_the_step_at_once() -> None:
    """The first trial of the second update is NaN."""
    watched = Watched(change=lambda loss, count: loss * (math.nan if count == 3 else 1.0))
    schedule = LineSearch(0.01, gamma=1.0)
    found = trained(watched, schedule, 4)
    assert watched.trials() == [1, 1, 1, 1]
    assert found.lrs == [0.01, 0.0, 0.01 * 0.9, 0.01 * 0.9]


def test_there_are_100_trials_at_most() -> None:
    watched = Watched(change=lambda loss, count: loss + (1e3 if count % 101 else 0.0))
    found = trained(watched, LineSearch(), 2)
    assert watched.trials() == [100, 100]
    assert found.extra_forwards == 200
    assert found.lrs == [0.0, 0.0]
    eta = found.state["schedule"]["eta"]
    assert eta == pytest.approx(0.9**200 * 2 ** (2 / 500), rel=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_needs_no_trial(bad: float) -> None:
    watched = Watched(change=lambda loss, count: loss * 0.0 + bad if count == 0 else loss)
    found = train(watched, SGD, SegmentJob(1, 3, LineSearch(0.01, gamma=1.0)))  # at step 0 it is refused
    assert watched.trials()[0] == 0
    assert found.lrs == [0.0, 0.01]


# What a trial sees


class Masked(torch.nn.Module):
    """A linear map after dropout and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(16)
        self.linear = torch.nn.Linear(16, 1)
        self.masks: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        dropped = torch.nn.functional.dropout(torch.ones_like(x), 0.5, self.training)
        self.masks.append(dropped)
        y: Tensor = self.linear(self.norm(x) * dropped)
        return y


def test_each_trial_of_a_step_has_the_same_dropout_and_another_step_has_not() -> None:
    watched = Watched(Masked)
    trained(watched, LineSearch(4.0, 0.5, 0.5, 2.0, 1), 6)
    masks, trials = iter(watched.models[0].masks), watched.trials()  # type: ignore[arg-type]
    assert max(trials) > 1
    of_steps = [[next(masks) for _ in range(n + 1)] for n in trials]
    for of_step in of_steps:
        assert all(torch.equal(mask, of_step[0]) for mask in of_step)
    assert not torch.equal(of_steps[0][0], of_steps[1][0])


def test_buffers_are_as_after_one_forward_a_step() -> None:
    search = Watched(Masked)
    found = trained(search, steps=1).state["model"]
    plain = train(Watched(Masked), SGD, SegmentJob(0, 1, Constant(0.0))).state["model"]
    assert sum(search.trials()) > 0
    for name in ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"):
        assert torch.equal(found[name], plain[name])
    assert found["norm.num_batches_tracked"] == 1


# What it cannot be used with


@pytest.mark.parametrize(
    "settings",
    [optimizers.SGD(momentum=0.9), optimizers.SGD(weight_decay=0.1), optimizers.Adam(), optimizers.AdamW()],
    ids=str,
)
def test_an_optimizer_that_takes_other_steps_is_refused(settings: optimizers.OptimizerSettings) -> None:
    with pytest.raises(UsageError, match=r"a line search tries gradient steps; choose sgd without momentum and weight"):
        train(LINEAR, replace(SGD, optimizer=settings), SegmentJob(0, 1, SEARCH))


# In a user's own loop


def loop(*scales: float, closure: bool = True) -> tuple[AdaptiveLR, list[list[float]], list[Tensor]]:
    """Some steps on a parabola for each scale; the LRs used."""
    parameters = [torch.full((3,), 2.0, requires_grad=True) for _ in scales]
    optimizer = torch.optim.SGD([{"params": [p], "lr": lr} for p, lr in zip(parameters, scales, strict=True)])
    scheduler, used = AdaptiveLR(optimizer, LineSearch(8.0, 0.5, 0.95, growth_steps=1)), []

    def loss_of() -> Tensor:
        return torch.stack([p.square().sum() for p in parameters]).sum()

    for _ in range(5):
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss, loss_of if closure else None)
        used.append([float(lr) for lr in scheduler.get_last_lr()])
        before = loss.item()
        optimizer.step()
        scheduler.step(loss.item())
        assert loss_of().item() <= before
    return scheduler, used, parameters


def test_it_needs_a_closure() -> None:
    with pytest.raises(UsageError, match=r"it has to compute the loss of a batch again; give probe\(\) a closure"):
        loop(0.1, closure=False)


def test_param_groups_keep_their_ratio_in_trials_too() -> None:
    scheduler, used, (one, other) = loop(0.1, 0.05)
    assert all(second == first / 2 for first, second in used)
    assert scheduler.control.forwards >= 5
    # f falls by sum of lr_i (2 x_i)^2 at first: what the trials promised has come true in the first step.
    eta = used[0][0]
    after = 12 * (1 - 2 * eta) ** 2 + 12 * (1 - eta) ** 2
    assert after <= 24 - 0.5 * eta * (48 + 24) + 1e-5
    eta /= 0.95
    assert 12 * (1 - 2 * eta) ** 2 + 12 * (1 - eta) ** 2 > 24 - 0.5 * eta * (48 + 24)
    assert one.abs().max() < 2
    assert other.abs().max() < 2
