"""The parameters that families share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from lrctl.contracts.axes import Axis, Fixed, Lengths
from lrctl_schedules.checks import NonNegative, Range, check_parameters, check_phases

Warmup = Annotated[
    float,
    "length of the linear warmup from LR 0",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True, draw=(0.0, 0.3)),
]
Rise = Literal["linear", "cosine", "exponential", "polynomial"]
LengthUnit = Annotated[Lengths, "what lengths are in: fraction (of the run) or steps"]
Decay = Annotated[
    float,
    "length of the cooldown at the end of the run",
    Axis(0.0, 1.0, grid=(0.0, 0.05, 0.1, 0.25, 0.5), length=True),
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
    """A value for each param group."""
    return [float(each) for each in value] if isinstance(value, tuple) else [float(value)] * groups
