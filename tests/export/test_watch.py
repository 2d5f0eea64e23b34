"""`watch(step, loss)` of the exported scheduler of a transfer."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from export.test_formula import imported
from lrctl.export.export import export
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.wsd import WSD

LINE = {"steps": 600, "loss": 3.8, "gain": 0.2, "tolerance": 0.05}


HELD = WSD(2400, 0.1)


def scheduler(to: str = "torch", schedule: Any = HELD, line: Any = LINE) -> Any:
    module = imported(export(schedule, 2400, to, source="run r", line=line))
    return module["make_scheduler"](torch.optim.SGD([torch.zeros(1, requires_grad=True)]))


def watch(watched: Any, steps: range, loss: float) -> list[str]:
    """What is said while the loss is this."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in steps:
            watched.watch(step, loss)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("to", ["torch", "transformers", "lightning"])
@pytest.mark.parametrize("schedule", [HELD, Cosine(2400, 0.1)], ids=["without math", "with math"])
def test_a_loss_below_the_line_is_told_once(to: str, schedule: Any) -> None:
    (told,) = watch(scheduler(to, schedule), range(1100, 1300), 3.5)
    assert told.startswith("step 1120: the smoothed loss, 3.5, is below 3.57")
    assert "the regime has changed" in told


@pytest.mark.parametrize(
    ("steps", "loss"),
    [(range(1100, 1200), 3.6), (range(600), 1.0), (range(1100, 1115), 3.0), (range(1100, 1200), float("nan"))],
    ids=["above", "before the last rung ends", "too few to tell", "not a number"],
)
def test_nothing_else_is_told(steps: range, loss: float) -> None:
    assert watch(scheduler(), steps, loss) == []


def test_one_low_loss_is_noise() -> None:
    watched = scheduler()
    assert watch(watched, range(1100, 1150), 3.9) == watch(watched, range(1150, 1151), 2.0) == []


def test_a_resumed_run_goes_on_with_what_it_had_seen() -> None:
    first, second = scheduler(), scheduler()
    watch(first, range(1000, 1110), 3.9)
    second.load_state_dict(first.state_dict())
    assert second.watched == first.watched


def test_without_a_line_there_is_nothing_to_watch_by() -> None:
    assert not hasattr(scheduler(line=None), "watch")
