"""Hypergradient descent against its formula, written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import OPTIMIZERS, SGD, OptimizerSettings
from lrctl.contracts.schedule import Scope, UpdateContext
from lrctl.errors import UsageError
from lrctl.lr_scheduler import AdaptiveLR
from lrctl.recipe.workloads import load_workload
from lrctl.testing import Constant
from lrctl.training.trainer import train
from lrctl_schedules.hypergradient import Hypergradient
from schedules.quadratic import SHAPES, STEPS, Make, loss_of, parabolas, run, start

SCOPES = pytest.mark.parametrize("scope", get_args(Scope))
LINEAR = load_workload("linear-regression", {}, 0)
SPEC = TrainSpec("linear-regression", {}, "", 0, None)
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"name": "sgd"},
    "sgd, momentum": {"name": "sgd", "momentum": 0.9},
    "sgd, nesterov": {"name": "sgd", "momentum": 0.9, "nesterov": True},
    "sgd, weight decay": {"name": "sgd", "momentum": 0.5, "weight_decay": 0.1},
    "adam": {"name": "adam"},
    "adam, weight decay": {"name": "adam", "weight_decay": 0.1},
    "adamw": {"name": "adamw", "weight_decay": 0.1},
}
EACH = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)


def make_of(settings: dict[str, Any]) -> Make:
    """Makes the optimizer of torch with these settings."""
    made = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["name"]]
    return partial(made, **{name: value for name, value in settings.items() if name != "name"})


def of_recipe(settings: dict[str, Any]) -> OptimizerSettings:
    """The same settings as a recipe has them."""
    return OPTIMIZERS[settings["name"]](**{name: value for name, value in settings.items() if name != "name"})


# beta 0


@SCOPES
@EACH
def test_beta_0_is_the_plain_optimizer_bit_for_bit(scope: Scope, settings: dict[str, Any]) -> None:
    task = replace(SPEC, optimizer=of_recipe(settings))
    plain = train(LINEAR, task, SegmentJob(0, 24, Constant(0.05)))
    found = train(LINEAR, task, SegmentJob(0, 24, Hypergradient(0.05, 0.0, scope)))
    assert found.losses.tobytes() == plain.losses.tobytes()
    torch.testing.assert_close(found.state["model"], plain.state["model"], rtol=0, atol=0)
    torch.testing.assert_close(found.state["optimizer"], plain.state["optimizer"], rtol=0, atol=0)
    assert found.lrs == pytest.approx(plain.lrs, rel=0 if scope != "element" else 1e-7)
    assert found.extra_forwards == 0


@SCOPES
@EACH
def test_so_it_is_in_a_users_own_loop(scope: Scope, settings: dict[str, Any]) -> None:
    parameters = [p.requires_grad_() for p in start()]
    optimizer = make_of(settings)([{"params": [p], "lr": 0.05} for p in parameters])
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(parameters, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    _, found = run(make_of(settings), Hypergradient(0.05, 0.0, scope))
    assert all(torch.equal(p, other) for p, other in zip(parameters, found, strict=True))


# The formula


@dataclass
class Reference:
    """All elements in one row, in float64: blocks of elements that share an LR, and each optimizer's direction."""

    settings: dict[str, Any]
    scope: Scope
    beta: float
    first: float
    published: bool = False
    lrs: list[list[float]] = field(default_factory=list)

    def run(self, steps: int = STEPS) -> Tensor:
        theta = torch.cat([p.flatten() for p in start()])
        sizes = {"global": [10], "group": [6, 4], "element": [1] * 10}[self.scope]
        alpha, u, m, v = torch.full((len(sizes),), self.first, dtype=torch.float64), *torch.zeros(3, 10).double()
        counts = torch.tensor(sizes)
        for t in range(1, steps + 1):
            c, target = (torch.cat([each.flatten() for each in pair]) for pair in zip(*parabolas(t - 1), strict=True))
            g = c * (theta - target)
            alpha = alpha + self.beta * torch.stack([part.sum() for part in (g * u).split(sizes)])
            self.lrs.append(alpha.tolist())
            lr = alpha.repeat_interleave(counts)
            decay = self.settings.get("weight_decay", 0.0)
            if self.settings["name"] == "adamw":
                theta = theta * (1 - decay * (self.first if self.scope == "element" else lr))
            else:
                g = g + decay * theta
            u, m, v = self.adam(g, m, v, t) if "adam" in self.settings["name"] else self.sgd(g, m, t)
            theta = theta - lr * u
        return theta

    def sgd(self, g: Tensor, m: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
        momentum = self.settings.get("momentum", 0.0)
        m = g if t == 1 else momentum * m + g
        return (g + momentum * m if self.settings.get("nesterov") else m), m, m

    def adam(self, g: Tensor, m: Tensor, v: Tensor, t: int) -> tuple[Tensor, Tensor, Tensor]:
        m, v, eps = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g, self.settings.get("eps", 1e-8)
        if self.published:
            return m / (v.sqrt() + eps) * math.sqrt(1 - 0.999**t) / (1 - 0.9**t), m, v
        return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + eps), m, v


@SCOPES
@EACH
def test_each_lr_follows_the_formula(scope: Scope, settings: dict[str, Any]) -> None:
    reference = Reference(settings, scope, beta=0.003, first=0.05)
    theta = reference.run()
    used, parameters = run(make_of(settings), Hypergradient(0.05, 0.003, scope, min_lr=None))
    for found, expected in zip(used, reference.lrs, strict=True):
        row = torch.as_tensor(found, dtype=torch.float64)
        assert len(set(row.tolist())) == 1 or scope != "global"
        torch.testing.assert_close(row[: len(expected)], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.cat([p.flatten() for p in parameters]), theta, rtol=1e-8, atol=1e-10)
    assert all(lr != 0.05 for lr in reference.lrs[-1])


@SCOPES
def test_adam_follows_the_published_formula_but_for_where_eps_stands(scope: Scope) -> None:
    for eps, near in ((0.0, 1e-9), (1e-8, 1e-5)):
        settings = {"name": "adam", "eps": eps}
        reference = Reference(settings, scope, beta=0.003, first=0.05, published=True)
        reference.run()
        used, _ = run(make_of(settings), Hypergradient(0.05, 0.003, scope, min_lr=None))
        last = torch.as_tensor(used[-1], dtype=torch.float64)[: len(reference.lrs[-1])]
        torch.testing.assert_close(last, torch.tensor(reference.lrs[-1], dtype=torch.float64), rtol=near, atol=0)


@dataclass(frozen=True)
class Given:
    """Gives the LR of each step, and notes the products."""

    values: tuple[float, ...]
    products: list[float] = field(default_factory=list)

    def init(self) -> Any:
        return None

    def __call__(self, step: int, _state: Any) -> float:
        return self.values[min(step, len(self.values) - 1)]

    def probe(self, state: Any, context: UpdateContext) -> Any:
        self.products.extend(context.products("global"))
        return state

    def update(self, state: Any, _seen: Any) -> Any:
        return state


class Signed(Given):
    """May give negative LRs."""

    signed = True


LARGE_EPS: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "adam, large eps": {"name": "adam", "eps": 0.5},
    "adamw, large eps": {"name": "adamw", "eps": 0.5, "weight_decay": 0.0},
    "sgd, dampening": {"name": "sgd", "momentum": 0.9, "dampening": 0.3},
}
del LARGE_EPS["adamw"]  # its decoupled weight decay is no part of u


def uneven(make: Make) -> Make:
    """The same with param groups of which the second has a third of the first one's LR."""
    return lambda groups: make([{**group, "lr": 1 / (1 + 2 * i)} for i, group in enumerate(groups)])


@pytest.mark.parametrize("change_groups", [lambda make: make, uneven], ids=["equal groups", "unequal groups"])
@pytest.mark.parametrize("settings", LARGE_EPS.values(), ids=LARGE_EPS)
def test_a_product_is_minus_the_derivative_with_respect_to_the_last_lr(
    settings: dict[str, Any], change_groups: Callable[[Make], Make]
) -> None:
    steps, h, make = 7, 1e-6, change_groups(make_of(settings))

    def last_loss(change: float) -> float:
        given = Given((*[0.05] * (steps - 2), 0.05 + change, 0.05))
        _, parameters = run(make, given, steps=steps - 1)
        return float(loss_of(parameters, steps - 1))

    given = Given((0.05,))
    run(make, given, steps=steps)
    derivative = (last_loss(h) - last_loss(-h)) / (2 * h)
    assert given.products[0] == 0
    assert given.products[-1] == pytest.approx(-derivative, rel=1e-5)


# Several LRs


@EACH
def test_groups_are_separate_runs_bit_for_bit(settings: dict[str, Any]) -> None:
    used, parameters = run(make_of(settings), Hypergradient(0.05, 0.003, "group"))
    for i in (0, 1):
        alone, (parameter,) = run(make_of(settings), Hypergradient(0.05, 0.003), only=[i])
        assert [lrs[i] for lrs in used] == [lr for (lr,) in alone]
        assert torch.equal(parameters[i], parameter)
    assert used[-1][0] != used[-1][1]


def test_an_elements_lr_is_as_if_it_were_alone() -> None:
    used, parameters = run(make_of(SETTINGS["sgd"]), Hypergradient(0.05, 0.003, "element", min_lr=None))
    ends = torch.cat([p.flatten() for p in parameters])
    for i in range(10):
        theta, alpha, u = torch.cat([p.flatten() for p in start()])[i].item(), 0.05, 0.0
        for step in range(STEPS):
            c, target = (torch.cat([each.flatten() for each in pair])[i] for pair in zip(*parabolas(step), strict=True))
            g = float(c) * (theta - float(target))
            alpha += 0.003 * g * u
            u = g
            theta -= alpha * u
            assert float(used[step][i]) == pytest.approx(alpha, rel=1e-12)
        assert float(ends[i]) == pytest.approx(theta, rel=1e-10)


def test_the_recorded_lr_is_the_mean_over_elements() -> None:
    task = replace(SPEC, optimizer=SGD())
    trained = train(LINEAR, task, SegmentJob(0, 12, Hypergradient(0.05, 0.05, "element")))
    (lrs,) = trained.state["schedule"]["lrs"]
    assert lrs.shape == (1, 16)
    assert lrs.std() > 1e-4
    assert trained.lrs[-1] == pytest.approx(float(lrs.double().mean()))


# Bounds


@SCOPES
@pytest.mark.parametrize("min_lr", [0.0, 0.01, None], ids=str)
def test_the_lr_stays_within_its_bounds(scope: Scope, min_lr: float | None) -> None:
    schedule = Hypergradient(0.9, 1.0, scope, min_lr, 1.5)
    used, _ = run(make_of({"name": "sgd"}), schedule, steps=8)
    lrs = [float(lr) for row in used for lr in row]
    assert max(lrs) == 1.5
    if min_lr is None:
        assert schedule.signed
        assert min(lrs) < 0
    else:
        assert not schedule.signed
        assert min(lrs) == min_lr


def test_a_negative_lr_can_be_trained_with() -> None:
    task = replace(SPEC, optimizer=SGD())
    trained = train(LINEAR, task, SegmentJob(0, 8, Hypergradient(1.5, 5.0, min_lr=None)))
    assert min(trained.lrs) < 0
    again = train(LINEAR, task, SegmentJob(0, 8, Signed(tuple(trained.lrs))))
    assert again.losses.tobytes() == trained.losses.tobytes()
    with pytest.raises(ValueError, match=r"Given.* gives LR -.* it must be finite and >= 0"):
        train(LINEAR, task, SegmentJob(0, 8, Given(tuple(trained.lrs))))


# Gradients that are no numbers, or are missing


@SCOPES
@pytest.mark.parametrize("settings", [{"name": "sgd", "momentum": 0.9}, {"name": "adam"}], ids=["sgd", "adam"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_does_not_poison_the_lr(
    scope: Scope, settings: dict[str, Any], bad: float
) -> None:
    """Its update is skipped, as a gradient scaler does."""
    parameters = [p.requires_grad_() for p in start()]
    optimizer = make_of(settings)([{"params": [p]} for p in parameters])
    scheduler, lrs = AdaptiveLR(optimizer, Hypergradient(0.05, 0.003, scope)), []
    for step in range(10):
        optimizer.zero_grad()
        loss = loss_of(parameters, step)
        (loss * bad if step == 4 else loss).backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss)
        if step != 4:
            optimizer.step()
        scheduler.step(loss.item())
        lrs.append(scheduler.lr)
    assert all(map(math.isfinite, lrs))
    assert lrs[4] == lrs[3]
    assert lrs[9] != lrs[8] != lrs[7]
    assert all(p.isfinite().all() for p in parameters)


@SCOPES
def test_weights_that_are_lost_leave_the_lr_as_it_was(scope: Scope) -> None:
    @dataclass
    class Lost:
        model: Any = LINEAR.model
        batch: Any = LINEAR.batch
        evaluate: Any = LINEAR.evaluate

        def loss(self, model: Any, batch: Any) -> Tensor:
            seen.append(0)
            return LINEAR.loss(model, batch) * (math.nan if len(seen) == 6 else 1.0)

    seen: list[int] = []
    trained = train(Lost(), replace(SPEC, optimizer=SGD()), SegmentJob(0, 12, Hypergradient(0.05, 0.05, scope)))
    assert trained.lrs[5:] == [trained.lrs[4]] * 7
    assert math.isnan(trained.losses[-1])


@pytest.mark.parametrize("settings", [{"name": "sgd", "momentum": 0.9, "weight_decay": 0.1}, {"name": "adam"}], ids=str)
def test_a_parameter_without_a_gradient_was_not_moved(settings: dict[str, Any]) -> None:
    parameters = [p.requires_grad_() for p in start()]
    optimizer = make_of(settings)([{"params": [p]} for p in parameters])
    scheduler, lrs = AdaptiveLR(optimizer, Hypergradient(0.05, 0.003, "group")), []
    for step in range(8):
        optimizer.zero_grad()
        loss = loss_of(parameters, step)
        loss.backward()  # type: ignore[no-untyped-call]
        if step in (0, 4):
            parameters[1].grad = None
        scheduler.probe(loss)
        optimizer.step()
        scheduler.step(loss.item())
        lrs.append(scheduler.get_last_lr()[1])
    assert lrs[0] == lrs[1] == 0.05  # nothing was moved before update 0, nor in it
    assert lrs[3] == lrs[4] == lrs[5]
    assert len(set(lrs)) == 5


# Optimizers


@pytest.mark.parametrize("name", ["adagrad", "adafactor"])
def test_training_with_an_optimizer_whose_direction_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(
        UsageError, match=r"^optimizer Ada(grad|factor): its update direction is not known .* choose sgd"
    ):
        train(LINEAR, replace(SPEC, optimizer=OPTIMIZERS[name]()), SegmentJob(0, 2, Hypergradient(0.1)))


OTHERS: dict[str, Make] = {
    "amsgrad": partial(torch.optim.AdamW, amsgrad=True),
    "maximize": partial(torch.optim.SGD, maximize=True),
    "rmsprop": torch.optim.RMSprop,
    "nadam": torch.optim.NAdam,
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_so_it_is_in_a_users_own_loop_too(make: Make) -> None:
    with pytest.raises(UsageError, match="choose sgd, adam or adamw, without amsgrad or maximize"):
        run(make, Hypergradient(0.1))


def test_no_state_is_left_in_an_optimizer_that_has_none() -> None:
    trained = train(LINEAR, replace(SPEC, optimizer=SGD()), SegmentJob(0, 3, Hypergradient(0.1)))
    assert trained.state["optimizer"]["state"] == {}


def test_halves_have_lrs_and_products_in_single_precision() -> None:
    weight = torch.full(SHAPES[0], 1.0, dtype=torch.bfloat16, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scheduler = AdaptiveLR(optimizer, Hypergradient(0.1, 1e-6, "element"))
    for _ in range(3):
        optimizer.zero_grad()
        loss = (weight.float() ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss)
        optimizer.step()
        scheduler.step(loss.item())
    assert scheduler.control.elements is not None
    (lrs,) = scheduler.control.elements
    assert lrs.dtype == torch.float32
    assert (lrs > 0.1).all()
    assert weight.dtype == torch.bfloat16
