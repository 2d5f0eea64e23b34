"""The parameters that families share, and the checks of their values."""

from __future__ import annotations

import sys
from typing import Annotated, Any, get_args

from lrctl.contracts.axes import Axis, Lengths

Steps = Annotated[int, "T: optimizer updates in the whole run"]
PeakLr = Annotated[float, "the LR that the schedule is scaled by: its highest"]
LengthsIn = Annotated[Lengths, "what lengths are in: fraction (of the run) or steps"]
Warmup = Annotated[
    float,
    "length of the linear warmup from LR 0",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True, draw=(0.0, 0.3)),
]
Decay = Annotated[
    float,
    "length of the cooldown at the end of the run",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True),
]
End = Annotated[float, "LR at the end of the run, as a share of the peak", Axis(0.0, 1.0, variant=True)]

LARGEST = sys.float_info.max


def check_run(steps: Any, peak_lr: Any) -> None:
    """Refuse a run without steps, and a peak that is no LR.

    Raises:
        ValueError: names the parameter.
    """
    check_whole("steps", steps, 1, 2**53)
    check_number("peak_lr", peak_lr, 0, LARGEST)


def check_lengths(steps: int, lengths: Any, **named: Any) -> None:
    """Refuse lengths of phases, one after another, that do not fit the run.

    Raises:
        ValueError: names the parameter, or the parameters that are too long together.
    """
    check_choice("lengths", lengths, Lengths)
    run = 1 if lengths == "fraction" else steps
    for name, length in named.items():
        check_number(name, length, 0, run)
    # Stretching a schedule rounds its lengths, and may make their sum a little more than the run.
    if sum(named.values()) > run * (1 + 1e-12):
        raise ValueError(f"{' + '.join(named)}: must be at most {run:g}, the run, got {sum(named.values()):g}")


def check_scale(steps: int, lengths: Any, *, longest: float = 1.0, **named: Any) -> None:
    """Refuse a length that is divided by, if it is not in [1e-9, `longest`] runs.

    Raises:
        ValueError: names the parameter.
    """
    check_choice("lengths", lengths, Lengths)
    run = 1 if lengths == "fraction" else steps
    for name, length in named.items():
        check_number(name, length, 1e-9 * run, longest * run)


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Refuse what is not a number in [low, high], such as nan.

    Raises:
        ValueError: names the parameter.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        allowed = f"from {low:g} to {high:g}" if high < LARGEST else f"of at least {low:g}, and finite"
        raise ValueError(f"{name}: must be a number {allowed}, got {value!r}")


def check_lrs(name: str, value: Any) -> None:
    """Refuse what is neither an LR nor a tuple of them.

    Raises:
        ValueError: names the parameter.
    """
    if value == ():
        raise ValueError(f"{name}: must hold an LR for each param group, got none")
    for each in value if isinstance(value, tuple) else (value,):
        check_number(name, each, 0, LARGEST)


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Refuse what is not an int in [low, high].

    Raises:
        ValueError: names the parameter.
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}: must be a whole number from {low} to {high:g}, got {value!r}")


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Refuse what is not one of the values of a `Literal`.

    Raises:
        ValueError: names the parameter.
    """
    if value not in get_args(choices):
        raise ValueError(f"{name}: must be one of {', '.join(map(repr, get_args(choices)))}, got {value!r}")
