"""What a search is measured against: schedules tuned with great care, and one that is guessed."""

from __future__ import annotations

from typing import Any

from benchmarks.lookahead.panels import Case
from lrctl.contracts.schedule import Schedule, ScheduleRecord
from lrctl.registry.schedules import rebuilt

WARMUPS = (0.0, 0.02, 0.05, 0.1, 0.25)
DECAYS = (0.1, 0.2, 0.5, 0.75, 1.0)
GUESS = 1e-3
AXES = {"warmup": WARMUPS, "decay": DECAYS}


def tuned(case: Case) -> dict[str, Any]:
    """WSD, linear and cosine, each tuned by coordinates, the base LR refined once; the best by validation loss."""
    axes = [f"{name}={','.join(map(str, values))}" for name, values in AXES.items()]
    return case.search(
        "baseline",
        {
            "strategy.baseline.family": ["wsd", "linear", "cosine"],
            "strategy.baseline.grid": list(case.entry.lrs),
            "strategy.baseline.axis": axes,
            "strategy.baseline.refine": 1,
        },
    )


def guessed(case: Case) -> Schedule:
    """WSD with 10 % warmup and 10 % decay at 1e-3, as one would take it without any search."""
    params = {"steps": case.steps, "peak_lr": GUESS, "warmup": 0.1, "decay": 0.1}
    schedule: Schedule = rebuilt(ScheduleRecord("wsd", params), "the guess")
    return schedule
