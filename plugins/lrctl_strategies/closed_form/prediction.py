"""Fits ranked by a bound from convex optimisation, which predicts without training how good a schedule's shape is.

Schaipp et al., *The Surprising Agreement Between Convex Optimization Theory and Learning-Rate Scheduling for Large
Model Training* (2025): for SGD on a convex function whose gradients at step t have norm G_t, from distance D of the
optimum, the last iterate's suboptimality is at most

    D^2 / (2 S_1) + 1/2 [Q_1 / S_1 + sum_{k < T} (lr_k / S_{k+1}) (Q_k / S_k)],

with S_k = sum_{t >= k} lr_t and Q_k = sum_{t >= k} lr_t^2 G_t^2. With lr = g s this is A / g + g B, so that the best
base LR of a shape s is g = sqrt(A / B), and the bound there is 2 sqrt(A B). Deep networks are not convex: a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lrctl.contracts.axes import with_peak
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.strategy import Batch, RunSpec, Work
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.closed_form.fitting import Fit
from lrctl_strategies.tuning.tuning import PEAK, value_of


def bound(shape: Sequence[float], norms: Sequence[float] | None = None, distance: float = 1.0) -> tuple[float, float]:
    """The bound at a shape's own best base LR, and that base LR.

    Args:
        shape: the LR of each step, up to a factor. Zeros at its end do not count: they change nothing.
        norms: the gradient's norm G_t at each step; 1 everywhere by default.
        distance: D. It scales the bound and the base LR of every shape alike.

    >>> bound([1.0, 1.0])
    (1.0, 0.5)

    Raises:
        ValueError: the shape is 0 everywhere.
    """
    steps = max((step + 1 for step, s in enumerate(shape) if s > 0), default=0)
    if not steps:
        raise ValueError("the schedule is 0 at every step, so the bound says nothing")
    sums, squares, mixed = 0.0, 0.0, 0.0
    for step in reversed(range(steps)):
        s, norm = shape[step], 1.0 if norms is None else norms[step]
        later = sums
        sums += s
        squares += (s * norm) ** 2
        if later:
            mixed += s / later * squares / sums
    a, b = distance**2 / (2 * sums), (squares / sums + mixed) / 2
    return 2 * math.sqrt(a * b), math.sqrt(a / b)


def measured(schedule: Schedule, run: RunSpec) -> Work[tuple[float, ...]]:
    """The gradient norm at each step of a run with the schedule."""
    job = SegmentJob(0, run.steps, schedule, checkpoint=False, gradient_norms=True)
    (result,) = yield Batch("gradient norms of the schedule", [job], judge=False)
    norms = result.gradient_norms or ()
    if not all(map(math.isfinite, norms)):
        raise NoValidCandidateError("the run with this schedule diverged, so its gradient norms say nothing")
    return norms


def predicted(
    fits: Sequence[Fit], schedule: Schedule, steps: int, norms: Sequence[float] | None
) -> list[tuple[Fit, float]]:
    """The fits at the base LR that is best by the convex bound of each, and that bound, the lowest first.

    The bound is relative to the schedule's own, and the base LR is set so that the schedule's own would be best for it:
    so neither the distance to the optimum nor the size of the gradients has to be known.
    """
    of_found, found_factor = bound([schedule(step) for step in range(steps)], norms)
    rows = []
    # A shape whose best base LR is 0 is as far from the schedule as no LR at all.
    for each in (each for each in fits if value_of(each.schedule, PEAK)):
        value, factor = bound([each.schedule(step) for step in range(steps)], norms)
        peak = value_of(each.schedule, PEAK) * factor / found_factor
        rows.append((replace(each, schedule=with_peak(each.schedule, peak)), value / of_found))
    return sorted(rows, key=lambda row: row[1])
