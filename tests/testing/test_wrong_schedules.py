"""Schedules that break their contract in less usual ways: the check for authors of plugins says how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from lrctl import testing


@dataclass(frozen=True)
class Flat:
    """A sound one."""

    lr: float = 0.1

    def __call__(self, _step: float) -> Any:
        return self.lr


class NoDataclass:
    def __call__(self, _step: float) -> float:
        return 0.1


@dataclass(unsafe_hash=True)
class Open:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr


@dataclass(frozen=True)
class Text(Flat):
    def __call__(self, _step: float) -> Any:
        return "0.1"


@dataclass(frozen=True)
class Nothing(Flat):
    def __call__(self, step: float) -> Any:
        return None if step > 5 else 0.1


@dataclass(frozen=True)
class OfTensors(Flat):
    def __call__(self, _step: float) -> Any:
        return torch.tensor(0.1)


@dataclass(frozen=True)
class Complex(Flat):
    def __call__(self, step: float) -> Any:
        return (-1.0 - step) ** 0.5


@dataclass(frozen=True)
class Inverse(Flat):
    def __call__(self, step: float) -> Any:
        return self.lr / step


@dataclass(frozen=True)
class Lookup:
    lrs_by_step: tuple[float, ...] = tuple(0.1 for _ in range(21))

    def __call__(self, step: float) -> float:
        return self.lrs_by_step[step]  # type: ignore[call-overload,no-any-return]


@dataclass(frozen=True)
class EndsInNan(Flat):
    def __call__(self, step: float) -> Any:
        return float("nan") if step == 20 else 0.1


@dataclass(frozen=True)
class Unhashable:
    lrs_by_step: list[float] = field(default_factory=lambda: [0.1])

    def __call__(self, _step: float) -> float:
        return self.lrs_by_step[0]


@dataclass(frozen=True)
class OfFunctions:
    shape: Callable[[float], float] = abs

    def __call__(self, step: float) -> float:
        return self.shape(step)


@dataclass(frozen=True)
class Doubled(Flat):
    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", self.lr * 2)


@dataclass(frozen=True)
class OtherLrs(Flat):
    def lrs(self, steps: Sequence[float]) -> list[float]:
        return [2 * self.lr for _ in steps]


@dataclass(frozen=True)
class FewLrs(Flat):
    def lrs(self, steps: Sequence[float]) -> list[float]:
        return [self.lr for _ in steps[1:]]


@dataclass(frozen=True)
class Hidden:
    lr: float = field(default=0.1, init=False)

    def __call__(self, _step: float) -> float:
        return self.lr


SCHEDULES: dict[str, tuple[Any, str]] = {
    "no dataclass": (NoDataclass(), "NoDataclass is no dataclass"),
    "can be changed": (Open(), "Open can be changed"),
    "text": (Text(), "gives '0.1' at step 0; it must be a number"),
    "nothing": (Nothing(), "gives None at step 5.5; it must be a number"),
    "tensors": (OfTensors(), "it must be a number"),
    "complex": (Complex(), "it must be a number"),
    "divides by the step": (Inverse(), "at step 0 raised ZeroDivisionError"),
    "whole steps only": (Lookup(), "at step 0 raised TypeError"),
    "NaN at the end": (EndsInNan(), "gives nan at step 20"),
    "a list": (Unhashable(), "raised TypeError: unhashable type"),
    "a function": (OfFunctions(), "on its way through JSON raised TypeError"),
    "changes itself": (Doubled(), "equal schedules must have equal hashes|comes back from JSON as"),
    "other LRs": (OtherLrs(), "gives other LRs than a call for each step"),
    "too few LRs": (FewLrs(), "gives other LRs than a call for each step"),
    "a hidden field": (Hidden(), "on its way through JSON raised"),
}


@pytest.mark.parametrize(("schedule", "message"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_wrong_schedule_is_found(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_schedule(schedule, 20)


def test_a_sound_schedule_passes() -> None:
    testing.check_schedule(Flat(), 20)
