"""The check of schedules that see the run: a sound one passes it, and what is broken does not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from lrctl import testing
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation, Scope, UpdateContext
from testing.trials import count


@dataclass(frozen=True)
class Counting:
    """A sound one: the LR falls with the number of updates."""

    lr: float = 0.1

    def init(self) -> Any:
        return {"n": 0}

    def __call__(self, _step: int, state: Any) -> float:
        return float(self.lr / (1 + state["n"]))

    def update(self, state: Any, _seen: Observation) -> Any:
        return {"n": state["n"] + 1}


@dataclass(frozen=True)
class NanLater(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        return math.nan if state["n"] > 1 else self.lr


@dataclass(frozen=True)
class NegativeLater(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        return self.lr - float(state["n"])


@dataclass(frozen=True)
class Meddling(Counting):
    def update(self, state: Any, _seen: Observation) -> Any:
        state["n"] += 1
        return state


@dataclass(frozen=True)
class Forgetful(Counting):
    def init(self) -> Any:
        return {0: 0}

    def __call__(self, _step: int, _state: Any) -> float:
        return self.lr

    def update(self, state: Any, _seen: Observation) -> Any:
        return {0: state.get(0, 0) + 1}


@dataclass(frozen=True)
class Reckless(Counting):
    def update(self, _state: Any, seen: Observation) -> Any:
        return {"n": math.inf if seen.step else 0}


@dataclass(frozen=True)
class Several(Counting):
    """Two LRs."""

    scope: Scope = "group"

    def __call__(self, _step: int, state: Any) -> Any:
        return self.lr, self.lr - 0.04 * state["n"]


@dataclass(frozen=True)
class SeveralSigned(Several):
    signed: bool = True


@dataclass(frozen=True)
class Fickle(Counting):
    def __call__(self, _step: int, _state: Any) -> float:
        return self.lr + next(count)


@dataclass(frozen=True)
class Consuming(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        state["n"] += 1
        return self.lr


@dataclass(frozen=True)
class Probe(Counting):
    """A sound one that keeps an array."""

    scope: Scope = "element"

    def init(self) -> Any:
        return {"n": 0, "lrs": None}

    def __call__(self, _step: int, state: Any) -> Any:
        return self.lr if state["lrs"] is None else tuple(state["lrs"])

    def probe(self, state: Any, context: UpdateContext) -> Any:
        return {**state, "lrs": [(product * 0.1).clip(0.0, context.slope()) for product in context.products("element")]}

    def update(self, state: Any, _seen: Observation) -> Any:
        return {**state, "n": state["n"] + 1}


@dataclass(frozen=True)
class BelowZero(Probe):
    def probe(self, state: Any, context: UpdateContext) -> Any:
        return {**state, "lrs": list(context.products("element"))}


@dataclass(frozen=True)
class MeddlingProbe(Probe):
    def probe(self, state: Any, context: UpdateContext) -> Any:
        state["lrs"] = context.products("element")
        return state


class LonelyCounting(Counting):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Counting.__hash__


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (PiecewiseLinear(((0, 0.1),)), r"lacks init\(\) or update\(\)"),
        (LonelyCounting(), "comes back from JSON as"),
        (NanLater(), "gives nan at step 2"),
        (NegativeLater(), "gives -0.9 at step 1"),
        (Meddling(), r"update\(\) changed the state it was given"),
        (Forgetful(), "the state lost by JSON"),
        (Reckless(), r"the state {'n': inf} cannot be saved: Out of range float values"),
        (Several(0.06), r"gives -0.02\d* at step 2"),
        (Several(1.0, "global"), "gives several LRs, but its scope is global"),
        (Fickle(), "gives two values at step 0"),
        (Consuming(), "asking for the LR changed the state"),
        (BelowZero(), r"gives -0.\d* at step 0"),
        (MeddlingProbe(), r"probe\(\) changed the state it was given"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_adaptive_schedules_finds_what_is_broken(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_adaptive_schedule(schedule, [3.0, 2.0, 1.0])


@pytest.mark.parametrize(
    "schedule", [Counting(), Several(1.0), SeveralSigned(0.06), Probe()], ids=["one LR", "several", "signed", "probing"]
)
def test_the_check_of_adaptive_schedules_passes_a_sound_one(schedule: Any) -> None:
    testing.check_adaptive_schedule(schedule, [3.0, math.nan, 1.0, 0.5])
