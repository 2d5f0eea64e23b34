"""The schedule of the long run, in the family that is asked for."""

from __future__ import annotations

from typing import Any

from lrctl_strategies.closed_form.prediction import bound
from lrctl_strategies.families import check_tunable, contender

RUNG = "wsd:decay=0.5"
"""What the rungs have, and `wsd` alone means: with it one trunk serves all lengths."""


SHARED = "the rungs tell the peak, and --steps the length; leave it out"


def schedule(family: str, peak_lr: float, steps: int, warmup: int) -> Any:
    """A schedule of `NAME` or `NAME:setting=value,...`."""
    where = f"--family {family}"
    check_tunable(family.partition(":")[0], where.removesuffix(f" {family}"))
    return contender(RUNG if family == "wsd" else family, where, peak_lr, steps, warmup / steps, SHARED)


def ratio(family: str, steps: int, warmup: int) -> float:
    """The best peak of a family over that of the rungs' shape, by a bound from convex optimisation."""
    wanted, rung = (factor(schedule(each, 1.0, steps, warmup), steps) for each in (family, RUNG))
    return wanted / rung


def factor(shape: Any, steps: int) -> float:
    """The base LR at which the bound of a shape is lowest."""
    return bound([shape(step) for step in range(steps)])[1]
