"""How the parameters of a schedule family vary.

A *tunable* family is one that grid searches, fits and stretching can handle: a dataclass with a field `steps` (T, the
run's length) and a field `peak_lr`, in which the LR is linear. Its other parameters have defaults, and say by an `Axis`
how they vary.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from lrctl.contracts.params import fields_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError

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
    found = {field.name: mark for field in fields_of(family) for mark in field.marks if isinstance(mark, Axis)}
    return {name: axis for name, axis in found.items() if name != "peak_lr"}


def scalable(family: Any) -> bool:
    """Whether a family has the fields `steps` and `peak_lr`, and knows its LRs before the run."""
    named = {f.name for f in fields(family)} if is_dataclass(family) else set()
    return {"steps", "peak_lr"} <= named and not hasattr(family, "init")


def tunable(family: Any) -> bool:
    """Whether a family is scalable and can be made from `steps` and `peak_lr` alone."""
    return scalable(family) and {f.name for f in fields_of(family) if f.default is MISSING} <= {"steps", "peak_lr"}


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
