"""The joint grid of base LR, warmup and decay around a schedule that was tuned by coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.lookahead import fresh
from benchmarks.lookahead.measured import Measured, digits, told
from benchmarks.lookahead.reference import AXES
from lrctl.contracts.schedule import Schedule
from lrctl.storage.runs import finished
from lrctl_strategies.tuning.prefixes import Ended, train_all

JOINT = ("quickstart", "mlp")
"""The workloads that it is trained for."""

PEAKS = [10 ** (k / 8) for k in (-2, -1, 0, 1, 2)]
"""Factors on the base LR: two steps of the reference's refined grid to either side."""


def around(schedule: Any) -> Iterator[Schedule]:
    """The schedule's family over the whole grid; what it refuses, such as warmup and decay above 1, is left out."""
    names = [name for name in AXES if hasattr(schedule, name)]
    grids = [sorted({*AXES[name], getattr(schedule, name)}) for name in names]
    for factor, *values in product(PEAKS, *grids):
        peak = schedule.peak_lr if factor == 1 else float(f"{schedule.peak_lr * factor:.3g}")
        try:
            yield replace(schedule, peak_lr=peak, **dict(zip(names, values, strict=True)))
        except ValueError:
            continue


def gain(measured: Measured, count: int) -> str:
    """What the best of the joint grid, by validation loss, gains on fresh seeds over the one tuned by coordinates."""
    case, before = measured.case, measured.found["tuned"]
    tuned = finished(case.store, before["run"]).rebuilt
    schedules = list(around(tuned))
    with fresh.session(case) as opened:
        ended = fresh.done(train_all([schedules], case.steps, "joint grid"), opened)
        best: Ended = min(ended.values(), key=lambda run: run.validation_loss)
        losses = fresh.each(opened, case.steps, best.schedule, fresh.seeds(case, count))
    differences = [a - b for a, b in zip(losses, measured.losses["tuned"], strict=True)]
    return (
        f"{case.title}: joint grid of {len(schedules)} runs: {tuned} -> {best.schedule}; "
        f"validation loss {digits(before['validation_loss'])} -> {digits(best.validation_loss)}; "
        f"test loss on fresh seeds {told(differences)}"
    )
