"""A schedule for another number of steps, and what is known of its peak there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrctl.contracts.axes import stretch, with_peak
from lrctl.contracts.horizon import EXPONENT, carried, unsure
from lrctl.documents import LONGEST_RUN
from lrctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Stretched:
    """A schedule of `steps` steps.

    Attributes:
        told: how its peak was reached, and how sure that is; empty where the schedule is as it was.
    """

    schedule: Any
    steps: int
    told: str = ""


def stretched(schedule: Any, old: int, new: int | None, known: Mapping[str, Any] | None = None) -> Stretched:
    """The shape over `new` steps, its peak carried there by the exponent that was measured.

    Args:
        schedule: for `old` steps.
        old: its steps.
        new: None leaves it as it is.
        known: what the search that found it says of its peak: `interval`, and an `exponent` of 0 where only divergence
            limits the LR.

    Raises:
        UsageError: it cannot be stretched to that.
    """
    if new is None or new == old:
        return Stretched(schedule, old)
    if type(new) is not int or not 1 <= new <= LONGEST_RUN:
        raise UsageError(f"--steps {new}: must be a whole number from 1 to {LONGEST_RUN:,}")
    found = known or {}
    exponent = found.get("exponent", EXPONENT)
    factor, off = carried(1.0, old, new, exponent), unsure(old, new)
    shape = stretch(schedule, old, new)
    long = with_peak(shape, top(shape) * factor)
    peak, here = highest(schedule, old), highest(long, new)
    if not here:
        raise UsageError(
            f"--steps {new}: in a run so short no step has an LR above 0; give more, it has {old} of its own"
        )
    low, high = (end * factor for end in found.get("interval", (peak, peak)))
    # A short run may have no step at its peak.
    missed = "" if math.isclose(here, peak * factor, rel_tol=0.005) else f"in place of {peak * factor:.3g}, "
    told = (
        f"Stretched from {old} steps to {new}. Its peak LR is {here:.3g}, {missed}which is {peak:.3g} times "
        f"{new / old:.3g}^{exponent:g}, and the best is from {low / off:.3g} to {high * off:.3g} in 90 of 100 cases, "
        "with the same batch size and AdamW."
    )
    return Stretched(long, new, told)


def highest(schedule: Any, steps: int) -> float:
    return max(float(schedule(step)) for step in range(steps))


def top(schedule: Any) -> float:
    """What `with_peak` sets: the field `peak_lr`, or the largest LR of the knots."""
    found: float = schedule.peak_lr if hasattr(schedule, "peak_lr") else max(lr for _, lr in schedule.knots)
    return found
