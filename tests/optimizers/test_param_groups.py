"""One rule for param groups: a search's trainer, the schedulers and the exports set the same LRs at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from export.exports import Net, Rows, fit_with_lightning
from export.test_formula import imported
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Schedule
from lrctl.errors import UsageError
from lrctl.export.export import export
from lrctl.lr_scheduler import AdaptiveLR, GreedyLR, ScheduleLR
from lrctl.optimizers.param_groups import scales
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.plateau import Plateau
from training.linear import SPEC, Own

STEPS = 12
FOUND = PiecewiseLinear(((0, 0.0), (3, 3e-3), (7, 1e-3), (STEPS, 2e-3)))

GROUPS: dict[str, tuple[list[dict[str, Any]], list[float]]] = {
    "alike": ([{}, {}, {}], [1.0, 1.0, 1.0]),
    "their own LRs": ([{"lr": 1e-3}, {"lr": 1e-4}, {"lr": 0.0}], [1.0, 1e-4 / 1e-3, 0.0]),
    "the first is not the largest": ([{"lr": 0.5}, {"lr": 1.0}, {"lr": 1.5}], [1.0, 2.0, 3.0]),
    "lr_scale": ([{}, {"lr_scale": 0.5}, {"lr_scale": 0.0}], [1.0, 0.5, 0.0]),
    "lr_scale of the first": ([{"lr_scale": 0.25}, {}, {"lr": 0.5}], [0.25, 1.0, 0.5]),
    "lr_scale overrides own LRs": ([{"lr": 1e-3}, {"lr": 1e-4, "lr_scale": 0.5}, {"lr": 2e-3}], [1.0, 0.5, 2.0]),
    "all at 0": ([{"lr": 0.0}, {"lr": 0.0}, {"lr": 0.0}], [1.0, 1.0, 1.0]),
}
of_each = pytest.mark.parametrize(("groups", "ratios"), GROUPS.values(), ids=GROUPS)

Make = Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]


class Spied:
    """Makes optimizers of these param groups, one parameter each but for the last, and notes the LRs of each update."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        self.groups = groups
        self.used: list[list[float]] = []

    def __call__(self, parameters: Iterable[torch.nn.Parameter] = ()) -> torch.optim.Optimizer:
        own = [*parameters]
        each: list[Any] = [*([p] for p in own[:2]), own[2:]] if len(own) > 2 else [own, [], []]
        each = [parameters or [torch.nn.Parameter(torch.zeros(1))] for parameters in each]
        optimizer = torch.optim.SGD(
            [{"params": parameters, **group} for parameters, group in zip(each, self.groups, strict=True)], lr=1.0
        )
        optimizer.register_step_pre_hook(lambda *_: self.used.append([float(g["lr"]) for g in optimizer.param_groups]))
        return optimizer


def in_a_search(schedule: Any, make: Spied, _: Path) -> None:
    workload: Any = Own(lambda model: make(model.parameters()))
    with quiet_torch(1):
        half = train(workload, replace(SPEC, optimizer=None), SegmentJob(0, STEPS // 2, schedule))
        train(workload, replace(SPEC, optimizer=None), SegmentJob(STEPS // 2, STEPS, schedule), half.state)


def by_schedule_lr(schedule: Schedule, make: Spied, _: Path) -> None:
    in_a_loop(ScheduleLR(optimizer := make(), schedule), optimizer)


def by_the_export_to_torch(schedule: Schedule, make: Spied, _: Path) -> None:
    in_a_loop(exported(schedule, "torch")["make_scheduler"](optimizer := make()), optimizer)


def by_the_export_to_transformers(schedule: Schedule, make: Spied, folder: Path) -> None:
    in_a_trainer(exported(schedule, "transformers")["make_scheduler"], make, folder)


def by_schedule_lr_in_a_trainer(schedule: Schedule, make: Spied, folder: Path) -> None:
    in_a_trainer(lambda optimizer: ScheduleLR(optimizer, schedule), make, folder)


def by_the_export_to_lightning(schedule: Schedule, make: Spied, folder: Path) -> None:
    configure = exported(schedule, "lightning")["configure"]
    fit_with_lightning(lambda parameters: configure(make(parameters)), STEPS, folder)


def exported(schedule: Schedule, to: str) -> dict[str, Any]:
    return imported(export(schedule, STEPS, to, source="run r"))


def in_a_loop(scheduler: Any, optimizer: torch.optim.Optimizer, steps: int = STEPS) -> None:
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


def in_a_trainer(make_scheduler: Callable[[Any], Any], make: Spied, folder: Path) -> None:
    from transformers import Trainer, TrainingArguments

    model = Net()
    quiet: dict[str, Any] = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no"}
    arguments = TrainingArguments(str(folder), max_steps=STEPS, per_device_train_batch_size=2, use_cpu=True, **quiet)
    optimizer = make(model.parameters())
    Trainer(model, arguments, train_dataset=Rows(), optimizers=(optimizer, make_scheduler(optimizer))).train()


WAYS: list[Callable[[Any, Spied, Path], None]] = [
    in_a_search,
    by_schedule_lr,
    by_the_export_to_torch,
    by_the_export_to_transformers,
    by_schedule_lr_in_a_trainer,
    by_the_export_to_lightning,
]


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*does not have many workers.*")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@of_each
def test_a_found_schedule_sets_the_same_lrs_wherever_it_is_used(
    groups: list[dict[str, Any]], ratios: list[float], way: Callable[..., None], tmp_path: Path
) -> None:
    make = Spied(groups)
    way(FOUND, make, tmp_path)
    assert make.used == [[ratio * FOUND(step) for ratio in ratios] for step in range(STEPS)]


@of_each
def test_the_rule_that_exports_carry_is_the_searchs(groups: list[dict[str, Any]], ratios: list[float]) -> None:
    carried = exported(FOUND, "torch")["scales"]
    assert carried(Spied(groups)().param_groups) == scales(Spied(groups)()) == ratios


def test_a_group_that_a_scheduler_has_moved_is_scaled_by_the_lr_that_it_was_made_with() -> None:
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    moved = torch.optim.SGD([{"params": [p], "lr": 0.0, "initial_lr": 2.0 - i} for i, p in enumerate(parameters)])
    assert scales(moved) == [1.0, 0.5]


def test_an_optimizer_without_an_lr_is_refused() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    optimizer.param_groups[0]["lr"] = None  # as a relative-step Adafactor
    with pytest.raises(UsageError, match=r"optimizer SGD: it has no LR and sets its own; make it with an lr"):
        scales(optimizer)


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no ratio to 0": ([{"lr": 0.0}, {"lr": 0.1}, {}], "param group 1 has LR 0.1 and the first 0, so that"),
    "no ratio to infinity": ([{"lr": float("inf")}, {}, {}], "param group 1 has LR 1 and the first inf, so that"),
    "infinite": ([{}, {"lr": float("inf")}, {}], "param group 1 has LR inf and the first 1, so that"),
    "negative": ([{}, {}, {"lr_scale": -0.5}], "param group 2 has lr_scale -0.5; it must be a number, finite and at"),
    "nan": ([{}, {"lr_scale": float("nan")}, {}], "param group 1 has lr_scale nan; it must be a number, finite and"),
}


@pytest.mark.parametrize(("groups", "message"), REFUSED.values(), ids=REFUSED)
def test_groups_without_a_scale_are_refused_everywhere(
    groups: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    make = Spied(groups)
    with pytest.raises(UsageError, match=f"optimizer SGD: {message}"):
        in_a_search(FOUND, make, tmp_path)
    with pytest.raises(UsageError, match=f"optimizer SGD: {message}"):
        ScheduleLR(make(), FOUND)
    with pytest.raises(UsageError, match=f"optimizer SGD: {message}"):
        AdaptiveLR(make(), Plateau(0.1))
    with pytest.raises(ValueError, match=r"^param groups of LRs \[.*\] cannot be scaled by .*; give each an lr_scale"):
        exported(FOUND, "torch")["make_scheduler"](make())
    assert make.used == []


@pytest.mark.parametrize("scale", ["large", None])
def test_an_lr_scale_that_is_no_number_is_refused(scale: Any) -> None:
    with pytest.raises(UsageError, match=rf"param group 1 has lr_scale {scale!r}; it must be a number"):
        ScheduleLR(Spied([{}, {"lr_scale": scale}, {}])(), FOUND)


# Schedules that see the run

SEEING: dict[str, tuple[Any, list[float]]] = {
    "one LR": (Greedy(0.1, patience=0, factor=0.5, smooth=False), [1.0, 0.25, 0.5]),
    "an LR for each group": (Greedy((0.1, 0.2, 0.3), patience=0, factor=0.5, smooth=False), [1.0, 2.0, 1.5]),
    "by group": (Hypergradient(0.1, 0.0, "group"), [1.0, 1.0, 0.5]),
}


@pytest.mark.parametrize(("schedule", "ratios"), SEEING.values(), ids=SEEING)
def test_a_schedule_that_sees_the_run_sets_the_same_lrs_in_a_search_and_in_a_loop(
    schedule: Any, ratios: list[float]
) -> None:
    groups: list[dict[str, Any]] = [{"lr": 0.4}, {"lr": 0.1}, {"lr_scale": 0.5}]
    searched, looped = Spied(groups), Spied(groups)
    workload: Any = Own(lambda model: searched(model.parameters()))
    with quiet_torch(1):
        trained = train(workload, replace(SPEC, optimizer=None), SegmentJob(0, STEPS, schedule))
    optimizer = looped()
    scheduler = AdaptiveLR(optimizer, schedule)
    for loss in trained.losses.tolist():
        if hasattr(schedule, "probe"):
            scheduler.probe(loss)
        optimizer.step()
        scheduler.step(loss)
    assert searched.used == looped.used
    assert searched.used[0] == pytest.approx([0.1 * ratio for ratio in ratios])
    assert len({str(lrs) for lrs in searched.used}) > 2 or scheduler.control.probing


@pytest.mark.parametrize(
    ("groups", "lrs"),
    [
        ([{"lr": 0.1}, {"lr": 0.02}, {"lr": 0.3}], [0.1, 0.02, 0.3]),
        ([{"lr": 0.1}, {"lr": 0.1, "lr_scale": 0.5}, {"lr": 0.3}], [0.1, 0.05, 0.3]),
        ([{"lr": 0.1}, {"lr": 0.7, "lr_scale": 0.5}, {"lr": 0.0}], [0.1, 0.05, 0.0]),
        ([{"lr": 0.0}, {"lr": 0.2}, {}], [0.0, 0.2, 1.0]),
    ],
    ids=["their own LRs", "lr_scale", "lr_scale overrides its own LR", "the first at 0"],
)
def test_greedy_lr_begins_with_what_each_group_has(groups: list[dict[str, Any]], lrs: list[float]) -> None:
    scheduler = GreedyLR(Spied(groups)(), patience=0, factor=0.5, smooth=False)
    assert scheduler.get_last_lr() == lrs
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [2 * lr for lr in lrs]


# A group that is added later


def test_a_group_that_is_added_later_is_scaled_by_its_own_lr_too() -> None:
    make = Spied([{"lr": 0.4}, {"lr": 0.1}, {"lr_scale": 0.5}])
    for scheduler_of in (lambda o: ScheduleLR(o, FOUND), exported(FOUND, "torch")["make_scheduler"]):
        make.used = []
        optimizer = make()
        scheduler = scheduler_of(optimizer)
        in_a_loop(scheduler, optimizer, 4)
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.2})
        scheduler.step()
        in_a_loop(scheduler, optimizer, 4)
        expected = [[FOUND(step) * scale for scale in (1.0, 0.25, 0.5, 0.5)] for step in range(5, 9)]
        assert make.used[4:] == expected


def test_a_group_that_is_added_later_follows_a_schedule_that_sees_the_run() -> None:
    optimizer = Spied([{"lr": 0.4}, {"lr": 0.1}, {"lr_scale": 0.5}])()
    scheduler = AdaptiveLR(optimizer, Plateau(0.1, patience=0, factor=0.5))
    scheduler.step(1.0)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.2})
    for _ in range(2):
        scheduler.step(1.0)
    assert scheduler.get_last_lr() == pytest.approx([0.025, 0.00625, 0.0125, 0.0125])


def test_a_group_that_is_added_later_is_refused_where_each_has_an_lr_of_its_own() -> None:
    optimizer = Spied([{}, {}, {}])()
    scheduler = GreedyLR(optimizer)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    with pytest.raises(UsageError, match="it has 3 LRs for 4 param groups"):
        scheduler.step(1.0)
