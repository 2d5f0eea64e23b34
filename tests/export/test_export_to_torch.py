"""Exports to torch, in use: at every update, resumed, beyond the end, with param groups."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cases import case
from export.exports import HILL, optimizer_of, text_of, used
from export.test_formula import EXAMPLES, imported, of_every_family, steps_of


@of_every_family
@pytest.mark.parametrize("to", ["lightning", "optax"])
def test_code_imports_its_framework_and_the_standard_library_only(family: str, to: str) -> None:
    for schedule in EXAMPLES[family]:
        text = text_of(schedule, to)
        nodes = list(ast.walk(ast.parse(text)))
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        roots = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
        with case(schedule=schedule):
            assert roots == ({"jax", "numpy"} if to == "optax" else {"torch"})
            assert all(len(line) <= 124 for line in text.splitlines())


@pytest.mark.parametrize("to", ["transformers", "lightning"])
def test_the_frameworks_on_torch_get_the_same_scheduler(to: str) -> None:
    codes = ["\n".join(x for x in text_of(HILL, t, 12).splitlines() if not x.startswith("#")) for t in ("torch", to)]
    assert codes[1].startswith(codes[0].rstrip())


@of_every_family
def test_an_export_to_torch_sets_the_lr_of_every_update(family: str) -> None:
    for schedule in EXAMPLES[family]:
        module, steps, optimizer = imported(text_of(schedule, "torch")), steps_of(schedule), optimizer_of(1e-3)
        scheduler = module["make_scheduler"](optimizer)
        lrs = used(optimizer, scheduler, 0, steps)
        with case(schedule=schedule):
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
            assert lrs == [(float(schedule(step)),) for step in range(steps)]
            with pytest.raises(RuntimeError, match=f"over after {steps} updates; .*after='hold'"):
                optimizer.step()


@of_every_family
def test_after_its_last_step_a_schedule_is_held_where_that_is_wanted(family: str) -> None:
    for schedule in EXAMPLES[family]:
        module, steps, optimizer = imported(text_of(schedule, "torch")), steps_of(schedule), optimizer_of(1e-3)
        lrs = used(optimizer, module["make_scheduler"](optimizer, after="hold"), 0, steps + 3)
        with case(schedule=schedule):
            assert lrs == [(float(schedule(min(step, steps - 1))),) for step in range(steps + 3)]


def test_what_comes_after_the_end_is_one_of_two_things() -> None:
    with pytest.raises(ValueError, match="after: must be 'error' or 'hold', got 'zero'"):
        imported(text_of(HILL, "torch", 12))["make_scheduler"](optimizer_of(0.1), after="zero")
    with pytest.raises(ValueError, match="after: must be 'error' or 'hold', got 'zero'"):
        imported(text_of(HILL, "optax", 12))["make_schedule"](after="zero")
    with pytest.raises(ValueError, match="the schedule has 12 steps, and step 13 is after them"):
        imported(text_of(HILL, "torch", 12))["lr"](13)


def test_a_resumed_scheduler_holds_if_it_was_made_to() -> None:
    make = imported(text_of(HILL, "torch", 12))["make_scheduler"]
    first, second = optimizer_of(0.1), optimizer_of(0.1)
    scheduler, again = make(first), make(second, after="hold")
    used(first, scheduler, 0, 12)
    again.load_state_dict(scheduler.state_dict())
    assert used(second, again, 12, 14) == [(HILL(11),)] * 2


@of_every_family
@pytest.mark.parametrize("early", [False, True], ids=["optimizer loaded after", "optimizer loaded before"])
def test_an_export_to_torch_resumes_at_every_step(family: str, early: bool) -> None:
    for schedule in EXAMPLES[family]:
        with case(schedule=schedule):
            resumes_at_every_step(schedule, early)


def resumes_at_every_step(schedule: Any, early: bool) -> None:
    """A scheduler of another process goes on; the optimizer's state is loaded before it is made, or after."""
    text, steps, first = text_of(schedule, "torch"), steps_of(schedule), optimizer_of(0.1, 0.3)
    scheduler = imported(text)["make_scheduler"](first)
    make = imported(text)["make_scheduler"]  # as in another process
    for step in range(steps):
        second = optimizer_of(0.1, 0.3)
        if early:
            second.load_state_dict(first.state_dict())
        again = make(second)
        if not early:
            second.load_state_dict(first.state_dict())
        again.load_state_dict(scheduler.state_dict())
        lr = float(schedule(step))
        assert [g["lr"] for g in second.param_groups] == again.get_last_lr() == [lr, 0.3 / 0.1 * lr]
        used(second, again, 0, 1)
        used(first, scheduler, 0, 1)
        assert again.get_last_lr() == scheduler.get_last_lr()


@pytest.mark.parametrize(
    ("lrs", "ratios"),
    [((0.1, 0.05), (1.0, 0.5)), ((0.01, 0.04, 0.0), (1.0, 4.0, 0.0)), ((0.0, 0.0), (1.0, 1.0))],
    ids=["two", "the first is the unit", "all 0"],
)
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_param_groups_keep_the_ratio_to_the_first(
    lrs: tuple[float, ...], ratios: tuple[float, ...], tensor: bool
) -> None:
    optimizer = optimizer_of(*lrs, tensor=tensor)
    found = used(optimizer, imported(text_of(HILL, "torch", 12))["make_scheduler"](optimizer), 0, 12)
    expected = [tuple(ratio * HILL(step) for ratio in ratios) for step in range(12)]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-6 if tensor else 0, abs=0)


def test_an_export_to_torch_resumes_from_saved_files_with_tensor_lrs(tmp_path: Path) -> None:
    make = imported(text_of(HILL, "torch", 12))["make_scheduler"]
    first = optimizer_of(0.1, 0.05, tensor=True)
    scheduler = make(first)
    used(first, scheduler, 0, 5)
    torch.save({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()}, tmp_path / "state")
    states = torch.load(tmp_path / "state", weights_only=True)
    second = optimizer_of(0.1, 0.05, tensor=True)
    second.load_state_dict(states["optimizer"])
    again = make(second)
    again.load_state_dict(states["scheduler"])
    assert used(second, again, 5, 12) == used(first, scheduler, 5, 12)
