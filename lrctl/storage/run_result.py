"""What a search came to, as the documents that `--json` prints and the store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lrctl._version import __version__
from lrctl.contracts.canonical import finite
from lrctl.contracts.strategy import SearchResult
from lrctl.recipe.schema import Recipe
from lrctl.registry.schedules import SCHEDULE_FORMAT, described

COUNTS = ("jobs", "jobs_reused", "steps_trained", "extra_forwards", "scored_batches")
NO_COST = {**dict.fromkeys(COUNTS, 0), "full_runs": 0.0}
"""The cost of a search that trains nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found, and what became of it.

    Attributes:
        train_loss: final training loss, smoothed; None where nothing was trained.
        metrics: split -> metric -> value on held-out data.
        cost: jobs, steps and full runs.
        notes: what the user should know about the results.
        seed: of the run that is handed over, if it is not the recipe's.
    """

    found: SearchResult
    train_loss: float | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=NO_COST.copy)
    notes: Sequence[str] = ()
    seed: int | None = None


def result_document(command: str, run: str, recipe: Recipe, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """The result of a search. Losses on held-out data are None where nothing was trained."""
    found, metrics = outcome.found, outcome.metrics
    document = {
        "command": command,
        "run": run,
        "status": "done",
        "workload": recipe.workload.name,
        "seed": recipe.training.seed if outcome.seed is None else outcome.seed,
        "steps": recipe.training.steps,
        "schedule": None if found.schedule is None else described(found.schedule),
        "train_loss": outcome.train_loss,
        "validation_loss": metrics["validation"]["loss"] if metrics else None,
        "test_loss": metrics["test"]["loss"] if metrics else None,
        "metrics": metrics,
        "segments": [asdict(segment) for segment in found.trace],
        "checkpoint": found.checkpoint,
        "cost": {**outcome.cost, "seconds": seconds},
        "notes": [*outcome.notes, *found.notes, *(note for segment in found.trace for note in segment.notes)],
        **({"tables": [asdict(table) for table in found.tables]} if found.tables else {}),
        **({"charts": [asdict(chart) for chart in found.charts]} if found.charts else {}),
        **dict(found.summary),
    }
    strict: dict[str, Any] = finite(document)
    return strict


def schedule_document(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of schedule.json: what a schedule is, for how many steps, and what made it; None without one."""
    if document["schedule"] is None:
        return None
    return {
        "format": SCHEDULE_FORMAT,
        "steps": document["steps"],
        "schedule": document["schedule"],
        "made_by": {"lrctl": __version__, "command": document["command"], "run": document["run"]},
    }
