"""Contract: what a learning-rate schedule is. Also `PiecewiseLinear`, the form in which a search answers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

from lrctl.errors import UsageError


@runtime_checkable
class Schedule(Protocol):
    """A pure function of the step: a frozen dataclass, so that it can be hashed, compared and printed.

    `schedule(step)` is the absolute LR, finite and >= 0, for any step in [0, steps]. Update t (from 0) uses
    `schedule(t)`; the value at `steps` is never used by an update.
    """

    def __call__(self, step: float, /) -> float:
        """The LR at `step`."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """What an adaptive schedule sees of update `step`: the LR used and the loss on its batch before the update."""

    step: int
    lr: float
    loss: float


@runtime_checkable
class AdaptiveSchedule(Protocol):
    """A schedule that sees the run. Its state is a small JSON value and becomes part of the checkpoint.

    Update t uses the LR `schedule(t, state)`; afterwards the state becomes `schedule.update(state, observation)`.
    All three methods are pure: they return a new state and never change the one they were given.
    """

    def init(self) -> Any:
        """The state before the first update: anything JSON can hold."""
        ...

    def __call__(self, step: int, state: Any, /) -> float:
        """The LR for update `step`."""
        ...

    def update(self, state: Any, seen: Observation, /) -> Any:
        """The state after update `seen.step`."""
        ...


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """Straight lines between knots (step, LR).

    Between neighbouring knots (s0, a) and (s1, b), with f = (step - s0) / (s1 - s0), the LR is (1 - f) a + f b:
    exact at both ends, which a + (b - a) f is not. Before the first knot it is the first knot's LR, after the
    last knot the last one's.

    >>> PiecewiseLinear(((0, 0.0), (10, 1.0), (30, 0.0)))(5)
    0.5

    Raises:
        ValueError: no knots, steps that do not increase, or an LR that is negative or not finite.
    """

    knots: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        steps = [step for step, _ in self.knots]
        if not steps:
            raise ValueError("knots: at least one (step, lr) pair is needed")
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError(f"knots: steps must increase, got {steps}")
        if any(not (math.isfinite(lr) and lr >= 0) for _, lr in self.knots):
            raise ValueError(f"knots: every LR must be finite and >= 0, got {[lr for _, lr in self.knots]}")

    def __call__(self, step: float) -> float:
        """The LR at `step`."""
        right = bisect_right(self.knots, step, key=lambda knot: knot[0])
        if right == 0:
            return self.knots[0][1]
        if right == len(self.knots):
            return self.knots[-1][1]
        (s0, a), (s1, b) = self.knots[right - 1], self.knots[right]
        f = (step - s0) / (s1 - s0)
        return (1 - f) * a + f * b


def params_of(schedule: object) -> dict[str, Any]:
    """The parameters of a schedule as JSON has them, from the fields of its dataclass."""
    if not is_dataclass(schedule) or isinstance(schedule, type):
        raise TypeError(f"a schedule must be an instance of a dataclass, got {schedule!r}")
    return {f.name: listed(getattr(schedule, f.name)) for f in fields(schedule)}


def listed(value: Any) -> Any:
    """`value` with every tuple turned into a list, as JSON has it."""
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


def build_schedule(family: Any, params: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `family` from JSON parameters (lists become tuples).

    Raises:
        UsageError: the parameters do not fit the family.
    """
    try:
        return family(**{name: tupled(value) for name, value in params.items()})
    except (TypeError, ValueError) as error:
        raise UsageError(f"schedule family {family.__name__}: {error}") from error


def tupled(value: Any) -> Any:
    """`value` with every list turned into a tuple, as frozen dataclasses want it."""
    return tuple(tupled(item) for item in value) if isinstance(value, list | tuple) else value
