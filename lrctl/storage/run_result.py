"""What a search came to: the document that `--json` prints and the store keeps; observers see it as an `Outcome`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.chart import Chart
from lrctl.contracts.result import beside_loss
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.contracts.strategy import Segment, TrainedRun
from lrctl.contracts.table import DataFile, Table
from lrctl.documents import LONGEST_RUN
from lrctl.storage.files import is_plain
from lrctl.storage.records import from_json

FORMAT = "lrctl-result/1"

PARTIAL = "partial"
"""The status of what a search came to whose budget is reached: its run is not finished."""

LOSSES = ("train_loss", "validation_loss", "test_loss")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search took, in this and earlier goes.

    Attributes:
        jobs: that it needed; `jobs_reused` of them other runs had trained.
        steps_trained: optimizer updates, those of jobs made again and of stopped ones included.
        extra_forwards: forward passes beyond one for each step: those with which schedules tried LRs, and those of jobs
            that measured frozen weights.
        scored_batches: reserved batches that jobs were scored on, and what their validation losses took, in forward
            passes over a batch.
        full_runs: all of this in plain training runs: steps trained, and a third of a step for each forward pass, over
            the steps of one run.
        seconds: wall-clock time of the last go.
        reference_full_runs: what the plain run beside the search took, in plain training runs. It is in none of the
            others but `seconds`.
        speculated_full_runs: what workers trained ahead and the search did not ask for, in plain training runs. It is
            part of the others.
    """

    jobs: int = 0
    jobs_reused: int = 0
    steps_trained: int = 0
    extra_forwards: int = 0
    scored_batches: int = 0
    full_runs: float = 0.0
    seconds: float = 0.0
    reference_full_runs: float = 0.0
    speculated_full_runs: float = 0.0

    def with_(self, in_vain: Cost) -> Cost:
        """This, and what was trained ahead in vain beside it."""
        added = ("steps_trained", "extra_forwards", "scored_batches", "full_runs")
        sums = {name: getattr(self, name) + getattr(in_vain, name) for name in added}
        return replace(self, **sums, speculated_full_runs=in_vain.full_runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The result of one run of a search.

    Attributes:
        run: its name.
        seed: of the training run that is handed over.
        optimizer: the recipe's table of what this was trained with, where that is not the recipe's own.
        steps: of a whole training run.
        start: the first of them that was searched, in a run that was under way.
        schedule: None where none was found, as in a comparison that sums up what was recorded.
        train_loss: final training loss, smoothed (nats for language models). None, as the two losses on held-out data,
            where nothing was trained or the loss is not finite.
        metrics: split -> metric -> value on held-out data.
        weights: which were evaluated and are handed over, where averages were kept: `last`, or `average` and its power.
        checkpoint: key of the job whose checkpoint is handed over.
        results: what was trained from the first step to the last, where that is more than the one run handed over.
        reference: a plain run, trained beside the search for comparison.
        summary: what else the strategy has to say, JSON values by name.
        reached: which budget ended the search, where its status is `partial`.
    """

    command: str
    run: str
    status: str = "done"
    workload: str
    seed: int
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    steps: int
    start: int = 0
    train_loss: float | None = None
    validation_loss: float | None = None
    test_loss: float | None = None
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    weights: str = ""
    checkpoint: str | None = None
    schedule: ScheduleRecord | None
    segments: tuple[Segment, ...] = ()
    cost: Cost = Cost()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    data: tuple[DataFile, ...] = ()
    results: tuple[TrainedRun, ...] = ()
    reference: TrainedRun | None = None
    chosen_by: str = ""
    next: str = ""
    reached: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if taken := self.summary.keys() & {"format", "digest", "files", *(f.name for f in fields(self))} - {"summary"}:
            raise ValueError(f"summary: {min(taken)!r} is a name of the result's own; choose another")

    @property
    def trained(self) -> tuple[TrainedRun, ...]:
        """What was trained from the first step to the last: the results, else the run handed over, else nothing."""
        if found := tuple(each for each in self.results if each.checkpoint):
            return found
        if self.checkpoint is None or self.schedule is None:
            return ()
        train, validation, test = (math.nan if loss is None else loss for loss in map(self.__getattribute__, LOSSES))
        losses, metrics = (train, validation, test), not_null(beside_loss(self.metrics))
        own: dict[str, Any] = {"optimizer": self.optimizer.get("name"), "settings": self.optimizer, "metrics": metrics}
        return (TrainedRun("", self.schedule, self.checkpoint, *losses, self.cost.full_runs, **own),)

    @property
    def handed_over(self) -> frozenset[str]:
        """The jobs that it rests on: whose checkpoint is handed over, and those that ended what else was trained."""
        others = [*self.results, *([self.reference] if self.reference else [])]
        keys = (self.checkpoint, *(each.checkpoint for each in others))
        return frozenset(key for key in keys if key)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of what was trained, ascending."""
        own = {self.seed if each.seed is None else each.seed for each in self.results}
        return tuple(sorted(own or {self.seed}))

    def to_json(self) -> dict[str, Any]:
        """Strict JSON: a number that is not finite becomes null; optional parts that are empty are left out."""
        reference = self.reference and entry_document(self.reference)
        document = {**asdict(self), "results": list(map(entry_document, self.results)), "reference": reference}
        summary = document.pop("summary")
        told = {name: value for name, value in document.items() if value or name not in OPTIONAL}
        strict: dict[str, Any] = finite({**summary, "format": FORMAT, **told})
        return strict

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunResult:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: it is no document of this format.
        """
        if document["format"] != FORMAT:
            raise ValueError(f"format: must be {FORMAT!r}, got {document['format']!r}")
        named = {f.name for f in fields(cls)} - {"summary"}
        own = {name: value for name, value in document.items() if name in named}
        summary = {name: value for name, value in document.items() if name not in named | {"format"}}
        results = tuple(map(trained_run, own.pop("results", ())))
        plain = own.pop("reference", None)
        reference = plain and trained_run(plain)
        found: RunResult = from_json(cls, own)
        if not 1 <= found.steps <= LONGEST_RUN:
            raise ValueError(f"steps: must be from 1 to {LONGEST_RUN}, got {found.steps}")
        if any(each.chosen not in (one.lr for one in each.candidates) for each in found.segments):
            raise ValueError("segments: chosen must be the LR of a candidate")
        whole = replace(found, results=results, reference=reference, summary=summary)
        if astray := [name for name in (whole.run, *whole.handed_over) if name and not is_plain(str(name))]:
            raise ValueError(f"run, checkpoint: must be names of files or folders, got {astray[0]!r}")
        return whole


OPTIONAL = (
    "optimizer",
    "start",
    "tables",
    "charts",
    "data",
    "results",
    "reference",
    "chosen_by",
    "next",
    "weights",
    "reached",
)
"""The fields that the document leaves out where they are empty."""


def entry_document(run: TrainedRun) -> dict[str, Any]:
    """An entry of `results`: its `details` stand among the rest, and what is not told is left out."""
    document = asdict(run)
    optional = {name: document.pop(name) for name in ("seed", "optimizer", "settings", "given", "metrics")}
    told = {name: value for name, value in optional.items() if value not in (None, {}) and value is not False}
    return {**document.pop("details"), **document, **told}


def trained_run(document: Mapping[str, Any]) -> TrainedRun:
    """The inverse of `entry_document`."""
    own = {f.name for f in fields(TrainedRun)} - {"details"}
    values = {name: value for name, value in document.items() if name in own}
    losses = {n: math.nan if values[n] is None else values[n] for n in values if n.endswith("_loss")}
    details = {name: value for name, value in document.items() if name not in own}
    own_types = {"schedule": ScheduleRecord(**document["schedule"]), "metrics": not_null(document.get("metrics", {}))}
    return TrainedRun(**{**values, **losses, **own_types, "details": details})


def not_null(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float]]:
    """Metrics as they were before they became JSON: null is NaN again."""
    return {
        split: {name: math.nan if value is None else value for name, value in of.items()}
        for split, of in metrics.items()
    }
