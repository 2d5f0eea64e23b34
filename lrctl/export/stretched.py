"""A schedule for another number of steps, and what is known of its peak there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lrctl.contracts.axes import stretch, with_peak
from lrctl.contracts.horizon import EXPONENT, carried, unsure
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
    if new < 1:
        raise UsageError(f"--steps {new}: must be at least 1")
    peak = max(float(schedule(step)) for step in range(old))
    found = known or {}
    exponent = found.get("exponent", EXPONENT)
    factor, off = carried(1.0, old, new, exponent), unsure(old, new)
    low, high = (end * factor for end in found.get("interval", (peak, peak)))
    told = (
        f"Stretched from {old} steps to {new}. Its peak LR is {peak * factor:.3g}, which is {peak:.3g} times "
        f"{new / old:.3g}^{exponent:g}, and the best is from {low / off:.3g} to {high * off:.3g} in 90 of 100 cases, "
        "with the same batch size and AdamW."
    )
    shape = stretch(schedule, old, new)
    return Stretched(with_peak(shape, top(shape) * factor), new, told)


def top(schedule: Any) -> float:
    """What `with_peak` sets: the field `peak_lr`, or the largest LR of the knots."""
    found: float = schedule.peak_lr if hasattr(schedule, "peak_lr") else max(lr for _, lr in schedule.knots)
    return found
