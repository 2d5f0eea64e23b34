"""Transfers on real workloads, beside a grid of peak LRs over whole runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.lookahead.measured import line
from benchmarks.lookahead.panels import Case

STEP = 1.5
COLUMNS = (
    "workload, steps, seed",
    "peak",
    "interval",
    "its runs",
    "test",
    "best of the grid",
    "its runs",
    "its test",
    "excess",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One case.

    Attributes:
        found: the result of the transfer, whose answer was trained.
        grid: the result of the same schedule with its peak LR grid-searched over whole runs, by validation loss.
    """

    case: Case
    found: Mapping[str, Any]
    grid: Mapping[str, Any]

    @property
    def best(self) -> float:
        return float(self.grid["schedule"]["params"]["peak_lr"])

    @property
    def inside(self) -> bool:
        low, high = self.found["interval"]
        return bool(low <= self.best <= high)

    @property
    def excess(self) -> float:
        """The test loss with the peak that was answered, less that of the best of the grid."""
        return float(self.found["test_loss"] - self.grid["test_loss"])

    @property
    def row(self) -> str:
        found = self.found
        low, high = found["interval"]
        cells = [self.case.title, f"{found['peak_lr']:.3g}", f"{low:.3g} to {high:.3g}", f"{found['full_runs']:.2f}"]
        cells += [
            f"{found['test_loss']:.4f}",
            f"{self.best:.3g}",
            f"{len(self.tried)}",
            f"{self.grid['test_loss']:.4f}",
        ]
        return line([*cells, f"{self.excess:+.4f}"])

    @property
    def tried(self) -> list[dict[str, Any]]:
        """Every run of the grid."""
        (entry,) = self.grid["results"]
        return list(entry["tried"])

    @property
    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        kept = (
            "run",
            "peak_lr",
            "interval",
            "off_costs",
            "rungs",
            "full_runs",
            "test_loss",
            "validation_loss",
            "notes",
        )
        found = {name: self.found[name] for name in kept}
        return {
            "case": self.case.title,
            "found": found,
            "grid": self.tried,
            "excess": self.excess,
            "inside": self.inside,
        }


def measure(case: Case, budget: float) -> Measured:
    """Find the peak and train with it, then search it on whole runs, a factor apart until the best lies inside."""
    own = {"strategy.transfer.budget": budget, "strategy.transfer.train": True}
    found = case.search("transfer", own)
    return Measured(case, found, tuned(case, found["run"], found["peak_lr"]))


def tuned(case: Case, source: str, peak: float) -> dict[str, Any]:
    """A schedule with its peak LR grid-searched by validation loss over whole runs, from three LRs around a peak."""
    own = {
        "source": source,
        "stretch": case.steps,
        "grid": [float(f"{peak * STEP**n:.3g}") for n in (-1, 0, 1)],
    }
    return case.search("fit-closed-form", {f"strategy.fit-closed-form.{key}": value for key, value in own.items()})


def summed_up(done: list[Measured]) -> str:
    """What all cases say."""
    excess = [each.excess for each in done]
    inside = sum(each.inside for each in done)
    return (
        f"{inside} of {len(done)} intervals hold the best of the grid; excess {fmean(excess):+.4f} in the mean, "
        f"{max(excess):+.4f} at the most"
    )
