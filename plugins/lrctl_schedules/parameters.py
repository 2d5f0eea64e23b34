"""The parameters that families share, and the values that parameters may have: declared beside each, checked here.

Each check raises a ValueError that begins with the name of the parameter, or names of those that are wrong together.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from lrctl.contracts.axes import Axis, Fixed, Lengths
from lrctl.contracts.canonical import listed
from lrctl.contracts.params import fields_of

LARGEST = sys.float_info.max
MOST_STEPS = 2**53
"""Up to here each whole number is a float too."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be, both ends included; without one it may be what its `Axis` searches.

    It stands in the field's annotation: `Annotated[float, "help", Axis(0.1, 5.0), Range(0)]`. Of a length: in runs.
    """

    low: float
    high: float = LARGEST


NonNegative = Annotated[float, Range(0)]
Count = Annotated[int, Range(0)]
Warmup = Annotated[
    float,
    "length of the linear warmup from LR 0",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True, draw=(0.0, 0.3)),
]
Rise = Literal["linear", "cosine", "exponential", "polynomial"]
LengthUnit = Annotated[Lengths, "what lengths are in: fraction (of the run) or steps"]
Decay = Annotated[
    float, "length of the cooldown at the end of the run", Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True)
]
End = Annotated[float, "LR at the end of the run, as a share of the peak", Axis(0.0, 1.0, variant=True)]
PerGroup = float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scalable:
    """A schedule of a run of `steps` steps that `peak_lr` scales.

    Raises:
        ValueError: a parameter is out of its range, or warmup and decay are longer than the run.
    """

    steps: Annotated[int, "T: optimizer updates in the whole run", Range(1)]
    peak_lr: Annotated[NonNegative, "the LR that the schedule is scaled by: its highest"]

    def __post_init__(self) -> None:
        check_parameters(self)
        check_phases(self)


@dataclass(frozen=True, slots=True)
class WithWarmup(Scalable):
    warmup: Warmup = 0.1


@dataclass(frozen=True, slots=True)
class WithWarmupShape(WithWarmup):
    rise: Annotated[Rise, "shape of the warmup", Fixed()] = field(default="linear", kw_only=True)
    rise_rate: Annotated[
        float,
        "how fast an exponential warmup rises, or the power of a polynomial one; the others have none",
        Range(1e-3, 1e3),
        Fixed(),
    ] = field(default=3.0, kw_only=True)


def per_group(value: PerGroup, groups: int = 1) -> list[float]:
    return [float(each) for each in value] if isinstance(value, tuple) else [float(value)] * groups


@cache
def words(family: Any) -> dict[str, tuple[str, ...]]:
    """The parameters of a family that are words, with the choices of each."""
    return {each.name: get_args(each.type) for each in fields_of(family) if get_origin(each.type) is Literal}


@cache
def numbers(family: Any) -> list[tuple[str, type, float, float, bool, bool]]:
    """The parameters of a family that are numbers with a `Range`, or else an `Axis`.

    Of each: name, type, least and greatest value (of a length in runs), whether it is a length, whether it may be None.
    """
    found = []
    for each in fields_of(family):
        marks = {type(mark): mark for mark in each.marks}
        allowed = marks.get(Range) or marks.get(Axis)
        kind, *others = get_args(each.type) or (each.type,)
        if kind in (int, float) and allowed:
            high = allowed.high if kind is float else min(allowed.high, MOST_STEPS)
            length = Axis in marks and marks[Axis].length
            found.append((each.name, kind, allowed.low, high, length, NoneType in others))
    return found


def check_parameters(schedule: Any) -> None:
    """Refuse a word that is none of its choices, and a number outside of its range."""
    family: Any = type(schedule)
    take_plain_numbers(schedule)
    # Words first: what lengths are in decides their ranges.
    for name, choices in words(family).items():
        if (value := getattr(schedule, name)) not in choices:
            raise ValueError(f"{name}: must be one of {', '.join(map(repr, choices))}, got {value!r}")
    for name, kind, low, high, length, optional in numbers(family):
        value = getattr(schedule, name)
        if not (optional and value is None):
            run = run_length(schedule) if length else 1
            check = check_whole if kind is int else check_number
            check(name, value, low * run, high * run)


def take_plain_numbers(schedule: Any) -> None:
    """Hold numpy's and torch's numbers as Python's, and their arrays as tuples: equal schedules are one."""
    for each in fields(schedule):
        value = getattr(schedule, each.name)
        if hasattr(value, "tolist") or isinstance(value, tuple):
            plain = listed(value)
            object.__setattr__(schedule, each.name, tuple(plain) if isinstance(plain, list) else plain)


def check_phases(schedule: Any) -> None:
    """Refuse a warmup and a decay that are longer than the run together."""
    run = run_length(schedule)
    length = getattr(schedule, "warmup", 0) + getattr(schedule, "decay", 0)
    # Stretching a schedule rounds its lengths, and may make their sum a little more than the run.
    if length > run * (1 + 1e-12):
        raise ValueError(f"warmup + decay: must be at most {run:g}, the run, got {length:g}")


def run_length(schedule: Any) -> int:
    """The length of the run in what a schedule's lengths are in: fractions of it, or steps."""
    return schedule.steps if getattr(schedule, "lengths", "fraction") == "steps" else 1


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Refuse what is not a number in [low, high], such as nan."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        allowed = f"from {low:g} to {high:g}" if high < LARGEST else f"of at least {low:g}, and finite"
        raise ValueError(f"{name}: must be a number {allowed}, got {value!r}")


def check_lrs(name: str, value: Any) -> None:
    if value == ():
        raise ValueError(f"{name}: must hold an LR for each param group, got none")
    for each in value if isinstance(value, tuple) else (value,):
        check_number(name, each, 0, LARGEST)


def check_whole(name: str, value: Any, low: float, high: float) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}: must be a whole number from {low} to {high:g}, got {value!r}")
