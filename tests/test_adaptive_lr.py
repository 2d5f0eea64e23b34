"""Schedules that see the run, in a user's own loop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation, Scope, UpdateContext
from lrctl.errors import UsageError
from lrctl.lr_scheduler import AdaptiveLR, GreedyLR
from lrctl.storage import checkpoint
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.line_search import LineSearch
from lrctl_schedules.plateau import Plateau

STEPS = 14


@dataclass(frozen=True)
class Steps:
    """A scripted one: the LR of each step, or LRs; it notes what it sees in its state."""

    values: Any
    scope: Scope = "global"

    def init(self) -> Any:
        return []

    def __call__(self, step: int, _state: Any) -> Any:
        return self.values[step]

    def update(self, state: Any, seen: Observation) -> Any:
        return [*state, [seen.step, seen.lr, seen.loss]]


@dataclass(slots=True)
class Loop:
    """Two parameters with a group each; each step's loss is half a sum of squares about a target that moves."""

    schedule: Any
    make: Callable[[Any], torch.optim.Optimizer] = torch.optim.SGD
    lrs: tuple[Any, Any] = (0.1, 0.025)
    parameters: Any = None
    optimizer: Any = None
    scheduler: Any = None

    def __post_init__(self) -> None:
        self.parameters = [torch.full((3,), 2.0, requires_grad=True), torch.full((2, 2), -1.0, requires_grad=True)]
        self.optimizer = self.make([{"params": [p], "lr": lr} for p, lr in zip(self.parameters, self.lrs, strict=True)])
        self.scheduler = AdaptiveLR(self.optimizer, self.schedule)

    def loss(self, step: int) -> Tensor:
        curvatures = torch.tensor([0.5, 1.0, 1.5]), torch.tensor([[0.3, 0.6], [0.9, 1.2]])
        pairs = zip(self.parameters, curvatures, strict=True)
        return torch.stack([0.5 * (c * (p - 0.3 * (step % 3)).square()).sum() for p, c in pairs]).sum()

    def run(self, start: int, stop: int) -> list[Any]:
        """The LRs of the groups, and all weights, after each of these steps."""
        seen = []
        for step in range(start, stop):
            self.optimizer.zero_grad()
            loss = self.loss(step)
            loss.backward()  # type: ignore[no-untyped-call]
            if hasattr(self.schedule, "probe"):
                self.scheduler.probe(loss, partial(self.loss, step))
            used = [float(group["lr"]) for group in self.optimizer.param_groups]
            assert self.scheduler.get_last_lr() == pytest.approx(used, rel=1e-6)
            self.optimizer.step()
            self.scheduler.step(loss)
            seen.append((used, [p.detach().flatten().tolist() for p in self.parameters]))
        return seen


def test_each_update_uses_the_lr_decided_by_those_before_and_is_seen() -> None:
    loop = Loop(Steps([0.5, 0.25, 0.125, 0.0625]), lrs=(0.2, 0.2))
    assert [used for used, _ in loop.run(0, 3)] == [[0.5, 0.5], [0.25, 0.25], [0.125, 0.125]]
    assert [(step, lr) for step, lr, _ in loop.scheduler.control.memory] == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert loop.scheduler.last_epoch == 3


@pytest.mark.parametrize(
    ("lrs", "ratios"),
    [((0.1, 0.05), [1.0, 0.5]), ((0.01, 0.04), [1.0, 4.0]), ((0.3, 0.0), [1.0, 0.0]), ((0.0, 0.0), [1.0, 1.0])],
    ids=["two", "the first is the unit", "one is 0", "all 0"],
)
def test_param_groups_keep_the_ratio_to_the_first(lrs: tuple[float, float], ratios: list[float]) -> None:
    values = [0.5, 0.25, 0.3, 0.1]
    used = [used for used, _ in Loop(Steps(values), lrs=lrs).run(0, 3)]
    assert used == [[ratio * lr for ratio in ratios] for lr in values[:3]]


def test_a_schedule_with_an_lr_for_each_group_sets_just_these() -> None:
    values = [(0.5, 0.1), (0.2, 0.3), (0.1, 0.1)]
    loop = Loop(Steps(values, "group"))
    assert [used for used, _ in loop.run(0, 2)] == [[0.5, 0.1], [0.2, 0.3]]
    assert [lr for _, lr, _ in loop.scheduler.control.memory] == pytest.approx([0.3, 0.25])


def test_it_must_have_as_many_lrs_as_there_are_groups() -> None:
    with pytest.raises(UsageError, match=r"Greedy\(.*\): it has 3 LRs for 2 param groups"):
        Loop(Greedy((0.1, 0.2, 0.3)))


def test_a_plain_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^AdaptiveLR: PiecewiseLinear knows its LRs before the run; use ScheduleLR$"):
        Loop(PiecewiseLinear(((0, 0.1),)))


@pytest.mark.parametrize("lr", [float("nan"), float("inf"), -0.1])
@pytest.mark.parametrize("scope", ["global", "group"])
def test_an_lr_that_cannot_be_used_is_refused(lr: float, scope: Scope) -> None:
    bad = lr if scope == "global" else (1.0, lr)
    good = 0.1 if scope == "global" else (0.1, 0.1)
    loop = Loop(Steps([good, bad], scope))
    with pytest.raises(ValueError, match=r"Steps\(.*at step 1; it must be finite and >= 0"):
        loop.run(0, 1)


@dataclass(frozen=True)
class Sunken:
    """By element: one of them is negative, though the mean is not."""

    scope: Scope = "element"

    def init(self) -> Any:
        return None

    def __call__(self, _step: int, state: Any) -> Any:
        return 0.1 if state is None else tuple(state)

    def probe(self, _state: Any, context: UpdateContext) -> Any:
        first, second = (0.0 * product + 0.1 for product in context.products("element"))
        first[0] = -0.1
        return [first, second]

    def update(self, state: Any, _seen: Observation) -> Any:
        return state


def test_no_single_element_may_have_a_negative_lr() -> None:
    with pytest.raises(ValueError, match=r"Sunken.* gives LR -0\.1\d* at step 0"):
        Loop(Sunken()).run(0, 1)


@pytest.mark.parametrize("schedule", [Hypergradient(0.1), LineSearch()], ids=["hypergradient", "line search"])
def test_a_probe_that_is_forgotten_is_noticed(schedule: Any) -> None:
    loop = Loop(schedule)
    loop.run(0, 2)
    expected = r"^AdaptiveLR: \w+ decides each LR by the gradient; call scheduler\.probe\(loss\) between loss\.backward"
    with pytest.raises(UsageError, match=expected):
        loop.scheduler.step(1.0)


def test_a_loss_with_its_graph_is_taken_without_a_warning() -> None:
    loop = Loop(Plateau(0.1, patience=0))
    loop.scheduler.step(loop.loss(0))
    loop.scheduler.step(torch.tensor(1e9))
    assert loop.scheduler.get_last_lr()[0] == pytest.approx(0.01)


def test_the_number_of_an_update_can_be_given() -> None:
    loop = Loop(Steps([0.1, 0.2, 0.3, 0.4]), lrs=(1.0, 1.0))
    loop.scheduler.step(1.0, epoch=3)
    assert loop.scheduler.get_last_lr() == [0.4, 0.4]
    assert loop.scheduler.last_epoch == 3


# Saved and restored

SCHEDULES: dict[str, tuple[Any, Any]] = {
    "greedy": (Greedy(0.1, factor=0.5, patience=1, window_size=3), torch.optim.Adam),
    "greedy, by group": (Greedy((0.1, 0.2), "authors", factor=0.5, patience=0, smooth=False), torch.optim.SGD),
    "plateau": (Plateau(0.1, patience=0, factor=0.5), torch.optim.SGD),
    "line search": (LineSearch(2.0, growth_steps=1), torch.optim.SGD),
    **{
        f"hypergradient, {scope}, {make.__name__}": (Hypergradient(0.1, 0.01, scope), make)
        for scope in get_args(Scope)
        for make in (torch.optim.SGD, torch.optim.AdamW)
    },
    "hypergradient, momentum": (Hypergradient(0.1, 0.01), partial(torch.optim.SGD, momentum=0.5, nesterov=True)),
}


def saved(state: Any, folder: Path) -> Any:
    """A state through a file, without torch where it holds no tensors."""
    try:
        return json.loads(json.dumps(state, allow_nan=False))
    except TypeError:
        return checkpoint.load(folder / "state", checkpoint.save(folder / "state", state))


@pytest.mark.parametrize("order", ["optimizer first", "scheduler first"])
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
@pytest.mark.parametrize(("schedule", "make"), SCHEDULES.values(), ids=SCHEDULES)
def test_it_resumes_at_any_step(schedule: Any, make: Any, tensor: bool, order: str, tmp_path: Path) -> None:
    lrs = (torch.tensor(0.1), torch.tensor(0.025)) if tensor else (0.1, 0.025)
    loop = Loop(schedule, make, tuple(lr.clone() for lr in lrs) if tensor else lrs)  # type: ignore[union-attr,arg-type]
    states = []
    expected = []
    for step in range(STEPS):
        weights = [p.detach().clone() for p in loop.parameters]
        optimizer = checkpoint.load(tmp_path / "o", checkpoint.save(tmp_path / "o", loop.optimizer.state_dict()))
        states.append((weights, optimizer, saved(loop.scheduler.state_dict(), tmp_path)))
        expected += loop.run(step, step + 1)
    for at, (weights, optimizer, scheduler) in enumerate(states):
        again = Loop(schedule, make, tuple(lr.clone() for lr in lrs) if tensor else lrs)  # type: ignore[union-attr,arg-type]
        with torch.no_grad():
            for parameter, weight in zip(again.parameters, weights, strict=True):
                parameter.copy_(weight)
        loads = [
            partial(again.optimizer.load_state_dict, optimizer),
            partial(again.scheduler.load_state_dict, scheduler),
        ]
        for load in loads if order == "optimizer first" else loads[::-1]:
            load()
        assert again.run(at, STEPS) == expected[at:]
        assert again.scheduler.last_epoch == STEPS
    assert len({str(used) for used, _ in expected}) > 1 or "element" in str(schedule)


@pytest.mark.parametrize("name", ["greedy", "plateau", "line search"])
def test_a_state_without_tensors_is_strict_json(name: str) -> None:
    loop = Loop(*SCHEDULES[name])
    loop.run(0, 3)
    json.dumps(loop.scheduler.state_dict(), allow_nan=False)


def test_a_tensor_as_lr_stays_that_tensor() -> None:
    lrs = torch.tensor(0.1), torch.tensor(0.025)
    loop = Loop(Greedy(0.2, patience=0, smooth=False, factor=0.5), lrs=lrs)
    loop.run(0, 3)
    for group, lr in zip(loop.optimizer.param_groups, lrs, strict=True):
        assert group["lr"] is lr
    assert float(lrs[1]) == pytest.approx(float(lrs[0]) / 4)
    assert float(lrs[0]) != pytest.approx(0.2)


def test_a_state_is_for_its_own_kind_of_schedule_and_its_groups() -> None:
    state = Loop(Plateau(0.1)).scheduler.state_dict()
    with pytest.raises(
        UsageError, match=r"^AdaptiveLR: the state is that of a schedule lrctl_schedules\.plateau\.Plateau, not lrctl"
    ):
        Loop(Greedy(0.1)).scheduler.load_state_dict(state)
    one = AdaptiveLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)]), Plateau(0.1))
    with pytest.raises(UsageError, match=r"^AdaptiveLR: the state is of 2 param groups, the optimizer has 1$"):
        one.load_state_dict(state)
    one.step(3.0)
    assert one.last_epoch == 1


# GreedyLR


def test_greedy_lr_starts_from_the_optimizers_own_lrs() -> None:
    loop = Loop(Plateau(0.9), lrs=(0.5, 0.25))
    for group, lr in zip(loop.optimizer.param_groups, (0.5, 0.25), strict=True):
        group["lr"] = lr
    scheduler = GreedyLR(loop.optimizer, patience=0, factor=0.5, smooth=False)
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [1.0, 0.5]
    scheduler.step(2.0)
    scheduler.step(2.0)
    scheduler.step(2.0)
    scheduler.step(2.0)
    scheduler.step(2.0)
    assert scheduler.get_last_lr() == [0.05, 0.025]


# By name


def two_groups() -> torch.optim.SGD:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(2))], "lr": lr} for lr in (0.1, 0.01)])


@pytest.mark.parametrize(
    ("settings", "schedule"),
    [
        ({"schedule": "plateau", "patience": 3}, Plateau(0.1, patience=3)),
        ({"schedule": "plateau", "initial_lr": 0.4}, Plateau(0.4)),
        ({"schedule": "hypergradient", "scope": "group"}, Hypergradient((0.1, 0.01), scope="group")),
        ({"schedule": "line-search", "c": 0.2}, LineSearch(0.1, c=0.2)),
    ],
    ids=str,
)
def test_a_schedule_can_be_named_and_starts_at_the_optimizers_lrs(settings: dict[str, Any], schedule: Any) -> None:
    scheduler = AdaptiveLR(two_groups(), **settings)
    assert scheduler.schedule == schedule
    first = settings.get("initial_lr", 0.1)
    assert scheduler.get_last_lr() == pytest.approx([first, first / 10], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("plato", {}, UsageError, "AdaptiveLR: unknown schedule 'plato'; did you mean 'plateau'?"),
        ("cosine", {}, UsageError, "AdaptiveLR: 'cosine' knows its LRs before the run; use ScheduleLR"),
        ("plateau", {"patiense": 3}, TypeError, "patiense"),
        (Plateau(0.1), {"patience": 3}, TypeError, "settings are for a schedule given by name, got patience"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_schedule_is_refused(name: Any, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("?", r"\?")):
        AdaptiveLR(two_groups(), name, **settings)


def test_hypergradient_keeps_the_lrs_of_the_groups_it_begins_with() -> None:
    optimizer = two_groups()
    scheduler = AdaptiveLR(optimizer, "hypergradient", scope="group", beta=0.0)
    for _ in range(3):
        loss = torch.stack([group["params"][0].square().sum() for group in optimizer.param_groups]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss)
        optimizer.step()
        scheduler.step(loss.item())
    assert scheduler.get_last_lr() == [0.1, 0.01]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_update_with_lr_0_leaves_the_weights_whatever_the_gradient(bad: float) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scheduler = AdaptiveLR(optimizer, "line-search")
    for factor in (bad, 1.0):
        before = weight.detach().clone()
        optimizer.zero_grad()
        loss = factor * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss.item(), lambda: weight.square().sum())
        optimizer.step()
        scheduler.step(loss.item())
        assert torch.equal(weight, before) == (factor is bad)
    assert torch.isfinite(weight).all()
