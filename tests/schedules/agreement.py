"""Two schedules are the same if they agree at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from lrctl.contracts.schedule import Schedule

P = 0.3
"""The peak LR of every comparison."""


def lrs(scheduler: Callable[[torch.optim.Optimizer], Any], steps: int) -> list[float]:
    """The LRs that a scheduler in the manner of torch sets: update t uses the LR after t calls of step()."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=P)
    schedule = scheduler(optimizer)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps - 1):
        optimizer.step()
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def assert_agrees(schedule: Schedule, lrs: Sequence[float]) -> None:
    """The schedule gives these LRs at steps 0, 1, 2, ...; where they all but vanish, rounding is forgiven."""
    for step, lr in enumerate(lrs):
        if not math.isclose(schedule(step), lr, rel_tol=1e-9, abs_tol=P * 1e-14):
            pytest.fail(f"step {step}: {schedule!r} gives {schedule(step)}, not {lr}")
