"""Contract: what a learning-rate schedule is, one that is a function of the step or one that sees the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from lrctl.contracts.canonical import listed

LARGEST_LR = (2 - 2**-23) * 2.0**127
"""The largest number of float32: no update can be made with a larger LR."""

LRS = f"greater than 0 and at most {LARGEST_LR:.2g}"
"""What LRs that somebody names may be, in words."""


def is_lr(value: Any) -> bool:
    """Whether this is an LR that somebody may name to train with.

    >>> [is_lr(value) for value in (0.1, 1, 0, float("inf"), 1e300, True)]
    [True, True, False, False, False, False]
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LARGEST_LR


@runtime_checkable
class Schedule(Protocol):
    """A pure function of the step: a frozen dataclass, so that it can be hashed, compared and printed.

    `schedule(step)` is the absolute LR, finite and >= 0, for any step in [0, steps]. Update t (from 0) uses
    `schedule(t)`; the value at `steps` is never used by an update.
    """

    def __call__(self, step: float, /) -> float:
        """The LR at `step`."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What an adaptive schedule sees of update `step`: the LR used and the loss on its batch before the update."""

    step: int
    lr: float
    loss: float


Scope = Literal["global", "group", "element"]
"""What an adaptive schedule has an LR for: all parameters, each param group, or each element of each parameter."""


@runtime_checkable
class AdaptiveSchedule(Protocol):
    """A schedule that sees the run. Its state is a small JSON value and becomes part of the checkpoint.

    Update t uses the LR `schedule(t, state)`; afterwards the state becomes `schedule.update(state, observation)`.
    All three methods are pure: they return a new state and never change the one they were given.

    One that needs more than the losses before update t has a method `probe` too (see `Probing`). Three things are
    optional: `scope`, if it has more than one LR; `signed`, true if its LRs may be negative; and
    `incompatible_with(optimizer)`, which tells why it cannot work with an optimizer of that name and settings, empty if
    it can.
    """

    def init(self) -> Any:
        """The state before the first update: anything JSON can hold."""

    def __call__(self, step: int, state: Any, /) -> Any:
        """The LR for update `step`: a number; by group one for each param group, by element arrays of `UpdateContext`.

        A number stands for all of them alike, as before the first `probe`.
        """

    def update(self, state: Any, seen: Observation, /) -> Any:
        """The state after update `seen.step`."""


@runtime_checkable
class Probing(AdaptiveSchedule, Protocol):
    """An adaptive schedule that decides the LR of update t by the loss and gradient of update t itself.

    After the backward pass of update t the state becomes `schedule.probe(state, context)`, and only then is the LR
    asked for. The state may hold, beside JSON values, arrays made from those that the context gave.
    """

    def probe(self, state: Any, context: UpdateContext, /) -> Any:
        """The state by which the LR of update `context.step` is decided."""


class UpdateContext(Protocol):
    """What can be asked about an update between its backward pass and the moving of the weights.

    Its gradient g is the mean loss's on this update's batch, clipped if the recipe clips.

    Attributes:
        step: of this update, from 0.
        loss: on its batch, with the weights as they are.
    """

    step: int
    loss: float

    def products(self, scope: Scope) -> tuple[Any, ...]:
        """The gradient times the direction u of the update before: <g_t, u_(t-1)>, where update t moves by -lr u_t.

        It is minus the derivative of this loss with respect to the LR of the update before, and so times the group's
        scale. Decoupled weight decay is no part of u; u is 0 before the first update, and a
        product that is not finite counts as 0.

        Returns:
            `global`: one number. `group`: a number for each param group. `element`: an array for each parameter, of its
            shape, which can be added, multiplied by numbers, and clipped (`clip(low, high)`).

        Raises:
            UsageError: the direction of this optimizer is not known.
        """

    def slope(self) -> float:
        """How fast the loss falls at first along the gradient step: ||g||^2, each group's part times its scale."""

    def loss_at(self, lr: float) -> float:
        """The loss of the same batch after a gradient step with this LR: f(theta - lr g). Costs a forward pass.

        Raises:
            UsageError: the optimizer would take another step than that.
        """


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as JSON has it: the name of its registered family, and its parameters."""

    family: str
    params: Mapping[str, Any]


def params_of(schedule: object) -> dict[str, Any]:
    """The parameters of a schedule as JSON has them, from the fields of its dataclass."""
    if not is_dataclass(schedule) or isinstance(schedule, type):
        raise TypeError(f"a schedule must be an instance of a dataclass, got {schedule!r}")
    return {f.name: listed(getattr(schedule, f.name)) for f in fields(schedule)}


def family_of(schedule: object) -> str:
    """The full name of a schedule's class, or of a class of schedules."""
    family = schedule if isinstance(schedule, type) else type(schedule)
    return f"{family.__module__}.{family.__qualname__}"
