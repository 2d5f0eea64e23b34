"""What a transfer is measured against: four shapes, the peak LR of each tuned on whole runs; with fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.lookahead import fresh
from benchmarks.lookahead.measured import line, told
from benchmarks.lookahead.measured import schedule_text as short
from benchmarks.transfer.real import Measured, tuned
from lrctl.registry.schedules import schedule_text
from lrctl.storage.runs import finished
from lrctl_strategies.transfer.family import ratio, schedule

SHAPES = ("wsd:decay=0.2", "linear", "cosine")
"""The shapes beside that of the rungs, whose grid is trained anyway."""

COLUMNS = ("workload, steps, seed", "tuned", "its runs", "tuned, fresh", "transfer, fresh", "difference")


@dataclass(frozen=True, slots=True)
class Beside:
    """A transfer beside the best of the tuned shapes.

    Attributes:
        tuned: the result of each shape, by its name.
        best: that with the lowest validation loss.
        losses: test losses with fresh seeds, of `transfer` and of `tuned`, the best shape.
    """

    measured: Measured
    tuned: Mapping[str, Mapping[str, Any]]
    best: Mapping[str, Any]
    losses: Mapping[str, list[float]]

    @property
    def differences(self) -> list[float]:
        """The test loss of the answer less that of the tuned shape, for each fresh seed."""
        return [a - b for a, b in zip(self.losses["transfer"], self.losses["tuned"], strict=True)]

    @property
    def row(self) -> str:
        runs = sum(each["full_runs"] for each in self.tuned.values())
        means = [f"{fmean(losses):.4f}" for losses in (self.losses["tuned"], self.losses["transfer"])]
        return line([self.measured.case.title, short(self.best), f"{runs:.1f}", *means, told(self.differences)])

    @property
    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        kept = ("run", "schedule", "validation_loss", "test_loss")
        tuned = {name: {key: each[key] for key in kept} for name, each in self.tuned.items()}
        return {"tuned": tuned, "fresh": dict(self.losses)}


def beside(measured: Measured, count: int) -> Beside:
    """Tune each shape, and train the best of them and the answer with fresh seeds."""
    case, found = measured.case, measured.found
    shapes = {"wsd:decay=0.5": measured.grid} | {name: shape(measured, name) for name in SHAPES}
    best = min(shapes.values(), key=lambda each: each["validation_loss"])
    runs = {"transfer": found["run"], "tuned": best["run"]}
    schedules = {name: finished(case.store, run).rebuilt for name, run in runs.items()}
    return Beside(measured, shapes, best, fresh.test_losses(case, schedules, fresh.seeds(case, count)))


def shape(measured: Measured, name: str) -> dict[str, Any]:
    """A shape with the warmup of the answer, its grid begun where a convex bound puts its peak."""
    case = measured.case
    warmup = round(measured.found["schedule"]["params"]["warmup"] * case.steps)
    peak = measured.best * ratio(name, case.steps, warmup)
    with TemporaryDirectory() as folder:
        file = Path(folder, "shape.json")
        file.write_text(schedule_text(schedule(name, peak, case.steps, warmup), case.steps), encoding="utf-8")
        return tuned(case, str(file), peak)


def summed_up(rows: Sequence[Beside]) -> str:
    """The mean over all cases, each of them the mean over its fresh seeds, with the interval over cases."""
    return f"difference over {len(rows)} cases: {told([fmean(each.differences) for each in rows])}"
