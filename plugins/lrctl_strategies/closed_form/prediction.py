"""Fits ranked by the convex bound, with gradient norms that are measured if asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lrctl.contracts.axes import with_peak
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.strategy import Batch, RunSpec, Work
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.closed_form.convex_bound import bound
from lrctl_strategies.closed_form.fitting import Fit
from lrctl_strategies.tuning.tuning import PEAK, value_of


@dataclass(frozen=True, slots=True)
class Predicted:
    """A fit at the peak LR that the convex bound predicts, and the bound over that of the schedule it is fitted to."""

    fit: Fit
    bound: float


def measured(schedule: Schedule, run: RunSpec) -> Work[tuple[float, ...]]:
    """The gradient norm at each step of a run with the schedule."""
    job = SegmentJob(0, run.steps, schedule, checkpoint=False, gradient_norms=True)
    (result,) = yield Batch("gradient norms of the schedule", [job], judge=False)
    norms = result.gradient_norms or ()
    if not all(map(math.isfinite, norms)):
        raise NoValidCandidateError("the run with this schedule diverged, so its gradient norms say nothing")
    return norms


def predicted(fits: Sequence[Fit], schedule: Schedule, steps: int, norms: Sequence[float] | None) -> list[Predicted]:
    """The fits with the convex bound of each at its own best base LR, the lowest first.

    The bound is relative to the schedule's own, and the base LR is set so that the schedule's own would be best for it:
    so neither the distance to the optimum nor the size of the gradients has to be known.
    """
    of_found, found_factor = bound([schedule(step) for step in range(steps)], norms)
    rows = []
    # A shape whose best base LR is 0 is as far from the schedule as no LR at all.
    for each in (each for each in fits if value_of(each.schedule, PEAK)):
        value, factor = bound([each.schedule(step) for step in range(steps)], norms)
        peak = value_of(each.schedule, PEAK) * factor / found_factor
        rows.append(Predicted(replace(each, schedule=with_peak(each.schedule, peak)), value / of_found))
    return sorted(rows, key=lambda row: row.bound)
