"""Numbers of numpy and torch are taken as what they hold, wherever a schedule or a setting takes a number."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lrctl
from lrctl.contracts.canonical import canonical_json, listed
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import params_of
from lrctl.errors import UsageError
from lrctl.export.export import export
from lrctl.lr_scheduler import AdaptiveLR, GreedyLR, ScheduleLR
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from test_lr_scheduler import saved
from testing.test_check_schedule import SCHEDULES

KINDS: dict[str, Callable[[Any], Any]] = {
    "numpy": lambda value: np.array(value)[()],
    "0-d arrays": np.array,
    "torch": lambda value: torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None),
}
kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def numbers_as(kind: Callable[[Any], Any], value: Any) -> Any:
    """A parameter with each number of it as one of numpy or torch."""
    if isinstance(value, tuple | list):
        return type(value)(numbers_as(kind, each) for each in value)
    return kind(value) if isinstance(value, bool | int | float) else value


@kind
@pytest.mark.parametrize("family", SCHEDULES)
def test_a_schedule_is_the_same_whatever_its_numbers_were_given_as(family: str, kind: Callable[[Any], Any]) -> None:
    for schedule in SCHEDULES[family]:
        given = {each.name: numbers_as(kind, getattr(schedule, each.name)) for each in fields(schedule)}
        made = type(schedule)(**given)
        assert (made, hash(made), repr(made)) == (schedule, hash(schedule), repr(schedule))
        assert canonical_json(params_of(made)) == canonical_json(params_of(schedule))


@pytest.mark.parametrize("array", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_knots_and_lrs_of_groups_can_be_an_array(array: Any) -> None:
    knots = [[0.0, 0.0], [10.0, 0.5], [20.0, 0.25]]
    assert PiecewiseLinear(array(knots)) == PiecewiseLinear(((0, 0.0), (10, 0.5), (20, 0.25)))
    assert Greedy(array([0.5, 0.25]), max_lr=array([1.0, 2.0])) == Greedy((0.5, 0.25), max_lr=(1.0, 2.0))
    assert Hypergradient(array([0.5, 0.25]), scope="group") == Hypergradient((0.5, 0.25), scope="group")


def knots_of(*knots: Any) -> PiecewiseLinear:
    return PiecewiseLinear(knots)


def test_half_precision_is_the_number_that_it_is() -> None:
    assert Cosine(60, np.float32(0.1)).peak_lr == float(np.float32(0.1))  # type: ignore[arg-type]
    assert knots_of((0, np.float16(0.1)))(0) == float(np.float16(0.1))


def test_knots_of_numpy_are_exported_as_a_formula() -> None:
    schedule = knots_of((0, np.float32(0.5)), (np.int64(9), np.float64(0.25)))
    text = export(schedule, 9, "torch", source="run r")
    assert "KNOTS = ((0, 0.5), (9, 0.25))" in text


NOT_FINITE: dict[str, tuple[Callable[[], Any], str]] = {
    "knot": (lambda: knots_of((0, np.float32("inf"))), r"knots: every LR must be finite and >= 0, got \[inf"),
    "step": (lambda: knots_of((np.float64("inf"), 0.1)), r"knots: every step must be finite, got \[inf"),
    "nan": (lambda: knots_of((0, np.float64("nan"))), r"knots: every LR must be finite and >= 0, got \[nan"),
    "peak": (lambda: Cosine(60, np.float32("inf")), "peak_lr: must be a number of at least 0, and finite, got inf"),  # type: ignore[arg-type]
    "bound": (lambda: greedy(max_lr=np.float64("inf")), "max_lr: must be a number of at least 0, and finite, got inf"),
    "share": (lambda: greedy(relative_max_lr=math.inf), "relative_max_lr: must be a number of at least 0, and finite"),
    "whole": (lambda: greedy(patience=np.float32("inf")), "patience: must be a whole number from 0 .*, got inf"),
    "of a group": (lambda: greedy(min_lr=np.array([np.inf])), "min_lr: must be a number of at least 0, and finite"),
    "the optimizer's": (lambda: GreedyLR(optimizer_of(math.inf)), "initial_lr: must be a number .* finite, got inf"),
}


@pytest.mark.parametrize(("make", "message"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_a_number_that_is_not_finite_is_refused_by_name(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def optimizer_of(*lrs: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs])


def greedy(**settings: Any) -> GreedyLR:
    return GreedyLR(optimizer_of(0.1), **settings)


# Schedulers

LRS: dict[str, Callable[[float], Any]] = {"numpy": np.float32, "0-d array": np.array, "tensor": torch.tensor}


@pytest.mark.parametrize("number", LRS.values(), ids=LRS)
def test_settings_are_taken_and_states_are_plain(number: Callable[[Any], Any]) -> None:
    settings = {"factor": number(0.5), "patience": np.int64(0), "min_lr": number(0.125), "smooth": np.False_}
    scheduler = GreedyLR(optimizer_of(number(0.25), number(0.5)), **settings)
    for loss in (2.0, 1.0, 1.0, 1.0, 1.0):
        scheduler.step(number(loss))
    assert scheduler.get_last_lr() == [0.125, 0.25]
    assert json.loads(json.dumps(scheduler.state_dict(), allow_nan=False))
    assert AdaptiveLR(optimizer_of(0.5), "plateau", factor=number(0.5)).schedule.factor == 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", LRS.values(), ids=LRS)
def test_an_optimizers_lrs_may_be_numpys_or_tensors(number: Callable[[Any], Any]) -> None:
    optimizer = optimizer_of(number(0.5), number(0.25))
    scheduler = ScheduleLR(optimizer, PiecewiseLinear(((0, 1.0), (4, 0.0))))
    for step in range(4):
        assert [float(lr) for lr in scheduler.get_last_lr()] == [1 - step / 4, (1 - step / 4) / 2]
        optimizer.step()
        scheduler.step()
    states = saved({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()})
    assert [float(group["initial_lr"]) for group in states["optimizer"]["param_groups"]] == [0.5, 0.25]
    assert torch.is_tensor(optimizer.param_groups[0]["lr"]) == (number is torch.tensor)


@dataclass(frozen=True)
class Given:
    """A family of a stranger's: it gives what it holds."""

    lr: Any

    def __call__(self, _step: float) -> Any:
        return self.lr


@pytest.mark.parametrize("lr", [np.float32(0.5), np.float64(0.5), torch.tensor(0.5)], ids=lambda lr: type(lr).__name__)
def test_a_schedule_may_give_a_number_of_numpys(lr: Any) -> None:
    optimizer = optimizer_of(0.1)
    ScheduleLR(optimizer, Given(lr))
    assert type(optimizer.param_groups[0]["lr"]) is float
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("lr", [math.inf, math.nan, -0.5, np.float32("inf")])
def test_an_lr_that_cannot_be_used_is_refused(lr: Any) -> None:
    with pytest.raises(ValueError, match=r"^Given\(.*\) gives LR .* at step 0; it must be finite and >= 0$"):
        ScheduleLR(optimizer_of(0.1), Given(lr))


# Settings of a search


def test_a_search_is_the_same_with_settings_of_numpy(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "training.steps": 24,
        "training.stop_early": False,
        "optimizer.weight_decay": 0.5,
        "strategy.local.grid": [0.5, 0.125],
        "strategy.local.segments": 2,
        "executor.name": "serial",
    }
    strange = {
        "training.steps": np.int64(24),
        "training.stop_early": np.False_,
        "optimizer.weight_decay": np.float32(0.5),
        "strategy.local.grid": np.array([0.5, 0.125]),
        "strategy.local.segments": torch.tensor(2),
        "executor.name": np.str_("serial"),
    }
    first = lrctl.search("local", "smoke", settings=settings, store=tmp_path)
    limits: dict[str, Any] = {"max_steps": np.int64(10**6), "max_time": np.float32(1e6), "max_disk": np.int64(10**10)}
    second = lrctl.search("local", "smoke", settings=strange, store=tmp_path, **limits)
    assert second["run"] == first["run"]
    assert json.loads(json.dumps(second)) == second


@pytest.mark.parametrize("value", [np.float64("inf"), np.float32("nan"), np.array([1.0])], ids=str)
def test_a_setting_that_is_no_finite_number_is_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"strategy\.semilocal\.eps: must be a (finite )?number, got"):
        lrctl.search("semilocal", "smoke", settings={"strategy.semilocal.eps": value}, store=tmp_path)


def test_tables_hold_numbers_of_numpy_too() -> None:
    given = {"a": np.float32(0.5), "b": {"c": (np.int8(1), [np.True_])}, "d": "text", "e": None}
    assert listed(given) == {"a": 0.5, "b": {"c": [1, [True]]}, "d": "text", "e": None}
    assert type(listed(given)["b"]["c"][1][0]) is bool


def test_a_schedule_with_one_field_replaced_by_numpys_is_the_same() -> None:
    assert replace(Cosine(60, 0.5), warmup=np.float64(0.25)) == Cosine(60, 0.5, 0.25)
