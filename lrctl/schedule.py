"""Contract: what a learning-rate schedule is. Also `PiecewiseLinear`, the form in which a search answers.

A *tunable* family is one that grid searches, fits and stretching can handle: a dataclass with a field `steps` (T, the
run's length) and a field `peak_lr`, in which the LR is linear. Its other parameters have defaults, and say by an `Axis`
how they vary.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, Literal, Protocol, get_type_hints, runtime_checkable

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


Scope = Literal["global", "group", "element"]
"""What an adaptive schedule has an LR for: all parameters, each param group, or each element of each parameter."""


@runtime_checkable
class AdaptiveSchedule(Protocol):
    """A schedule that sees the run. Its state is a small JSON value and becomes part of the checkpoint.

    Update t uses the LR `schedule(t, state)`; afterwards the state becomes `schedule.update(state, observation)`.
    All three methods are pure: they return a new state and never change the one they were given.

    One that needs more than the losses before update t has a method `probe` too (see `Probing`). Three things are
    optional: `scope`, if it has more than one LR; `signed`, true if its LRs may be negative; and `misfit(optimizer)`,
    which tells why it cannot work with an optimizer of that name and settings, empty if it can.
    """

    def init(self) -> Any:
        """The state before the first update: anything JSON can hold."""
        ...

    def __call__(self, step: int, state: Any, /) -> Any:
        """The LR for update `step`: a number; by group one for each param group, by element arrays as `Moment` gives.

        A number stands for all of them alike, as before the first `probe`.
        """
        ...

    def update(self, state: Any, seen: Observation, /) -> Any:
        """The state after update `seen.step`."""
        ...


@runtime_checkable
class Probing(AdaptiveSchedule, Protocol):
    """An adaptive schedule that decides the LR of update t by the loss and gradient of update t itself.

    After the backward pass of update t the state becomes `schedule.probe(state, moment)`, and only then is the LR asked
    for. The state may hold, beside JSON values, arrays made from those that the moment gave.
    """

    def probe(self, state: Any, moment: Moment, /) -> Any:
        """The state by which the LR of update `moment.step` is decided."""
        ...


class Moment(Protocol):
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
        `lr_scale` where it has one. Decoupled weight decay is no part of u; u is 0 before the first update, and a
        product that is not finite counts as 0.

        Returns:
            `global`: one number. `group`: a number for each param group. `element`: an array for each parameter, of its
            shape, which can be added, multiplied by numbers, and clipped (`clip(low, high)`).

        Raises:
            UsageError: the direction of this optimizer is not known.
        """
        ...

    def slope(self) -> float:
        """How fast the loss falls at first along the gradient step: ||g||^2, by `lr_scale` where groups have one."""
        ...

    def loss_at(self, lr: float) -> float:
        """The loss of the same batch after a gradient step with this LR: f(theta - lr g). Costs a forward pass.

        Raises:
            UsageError: the optimizer would take another step than that.
        """
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

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        steps = [step for step, _ in self.knots]
        if not steps:
            raise ValueError("knots: at least one (step, lr) pair is needed")
        if any(isinstance(each, bool) or not isinstance(each, int | float) for knot in self.knots for each in knot):
            raise ValueError(f"knots: every step and LR must be a number, got {self.knots}")
        if not all(map(math.isfinite, steps)):
            raise ValueError(f"knots: every step must be finite, got {steps}")
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


Lengths = Literal["fraction", "steps"]
"""What the lengths of a family's field `lengths` are in: fractions of the run, or steps."""


@dataclass(frozen=True, slots=True)
class Axis:
    """How a parameter of a family varies. It stands in the field's annotation: `Annotated[float, "help", Axis(0, 1)]`.

    Attributes:
        low: the least value that a fit or a random search looks at.
        high: the greatest one.
        log: look at the range on a logarithmic scale.
        grid: the values, ascending, that a grid search tries; empty: it leaves the parameter as it is.
        length: the parameter is a length. The axis is always in fractions of the run; the parameter itself is in what
            the schedule's field `lengths` says.
        draw: the range that a shape search draws from, where it is narrower than `low` to `high`.
        variant: a shape search leaves the parameter at its default unless it is asked to search it.
    """

    low: float
    high: float
    log: bool = False
    grid: tuple[float, ...] = ()
    length: bool = False
    draw: tuple[float, float] | None = None
    variant: bool = False


@dataclass(frozen=True, slots=True)
class Fixed:
    """Marks a parameter that is settled for a whole experiment: nothing fits or searches it, though it may be a choice.

    It stands in the field's annotation: `Annotated[Literal["a", "b"], "help", Fixed()]`.
    """


def axes(family: Any) -> dict[str, Axis]:
    """The parameters of a family that vary, in the order of its fields. `peak_lr` is never among them."""
    hints = get_type_hints(family, include_extras=True)
    found = {f.name: axis for f in fields(family) for axis in metadata(hints[f.name]) if isinstance(axis, Axis)}
    return {name: axis for name, axis in found.items() if name != "peak_lr"}


def metadata(hint: Any) -> tuple[Any, ...]:
    """What stands in a type hint's `Annotated` beside the type."""
    return getattr(hint, "__metadata__", ())


def scalable(family: Any) -> bool:
    """Whether a family has the fields `steps` and `peak_lr`, and knows its LRs before the run."""
    named = {f.name for f in fields(family)} if is_dataclass(family) else set()
    return {"steps", "peak_lr"} <= named and not hasattr(family, "init")


def tunable(family: Any) -> bool:
    """Whether a family is scalable and can be made from `steps` and `peak_lr` alone."""
    others = [f for f in fields(family) if f.name not in ("steps", "peak_lr")] if scalable(family) else []
    return scalable(family) and all(f.default is not MISSING or f.default_factory is not MISSING for f in others)


def stretch(schedule: Any, old: int, new: int) -> Any:
    """The same shape over `new` steps instead of `old`: step t becomes step t new / old.

    Raises:
        UsageError: the family has neither knots nor a field `steps`, or its own steps would not come out whole.
    """
    if isinstance(schedule, PiecewiseLinear):
        return PiecewiseLinear(tuple((step * new / old, lr) for step, lr in schedule.knots))
    if not scalable(type(schedule)):
        raise UsageError(
            f"schedule family {type(schedule).__name__}: without fields 'steps' and 'peak_lr' it cannot be stretched"
        )
    length = schedule.steps * new / old
    if not length.is_integer():
        raise UsageError(
            f"schedule {schedule!r}: stretched from {old} steps to {new} it would have {length:g} steps of its own"
        )
    in_steps = getattr(schedule, "lengths", "fraction") == "steps"
    lengths = [name for name, axis in axes(type(schedule)).items() if axis.length and in_steps]
    return replace(schedule, steps=int(length), **{name: getattr(schedule, name) * new / old for name in lengths})


def with_peak(schedule: Any, peak_lr: float) -> Any:
    """The same shape with another peak: a scalable family's `peak_lr`, or a piecewise-linear schedule's largest LR.

    Raises:
        UsageError: the schedule has no peak to set: it is 0 everywhere, or its family is not scalable.
    """
    if isinstance(schedule, PiecewiseLinear) and (top := max(lr for _, lr in schedule.knots)):
        return PiecewiseLinear(
            tuple((step, peak_lr if lr == top else lr / top * peak_lr) for step, lr in schedule.knots)
        )
    if not scalable(type(schedule)):
        raise UsageError(f"schedule {schedule!r}: it has no peak LR that can be set")
    return replace(schedule, peak_lr=peak_lr)


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
