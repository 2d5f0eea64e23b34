"""Methods side by side: their losses over seeds, and what can be said of the differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from lrctl.analysis.statistics import holm, paired, verdict
from lrctl.contracts.canonical import finite
from lrctl.contracts.run_result import LOSSES, RunResult
from lrctl.errors import unknown
from lrctl.registry.registry import registry
from lrctl.report.curves import Curve, handed_over_curve, trained
from lrctl.report.labels import differing_settings, given_parameters, labelled
from lrctl.report.runs import Run, read, value_text
from lrctl.storage.runs import existing

MEASURES = (*LOSSES, "full_runs")


@dataclass(frozen=True)
class Method:
    """The runs of one method, by ascending seed."""

    label: str
    curves: tuple[Curve, ...]

    @property
    def seeds(self) -> list[int]:
        return [curve.seed for curve in self.curves]

    def mean(self, name: str) -> float:
        """The mean over seeds of a loss or of `full_runs`; NaN if one is not finite."""
        return fmean(getattr(curve.entry, name) for curve in self.curves)

    def to_json(self) -> dict[str, Any]:
        runs = [
            {"run": each.run.name, "seed": each.seed, "checkpoint": each.entry.checkpoint}
            | {name: getattr(each.entry, name) for name in MEASURES}
            for each in self.curves
        ]
        return {"label": self.label, "mean": {name: self.mean(name) for name in MEASURES}, "runs": runs}


@dataclass(frozen=True)
class Difference:
    """The test loss of a method minus that of the reference, on the seeds that both have.

    Attributes:
        values: by seed; +inf where only the method's loss is not finite, -inf where only the reference's is not, NaN
            where both are not.
        interval: of the mean, 95 %; None with one seed, and where a value is not finite.
        p: of the paired t test.
        p_holm: the same with Holm's correction over all methods compared.
    """

    label: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None = None

    @property
    def verdict(self) -> str:
        """What the test loss says of the method; nothing where there is no test."""
        return verdict(self.mean, self.p_holm, len(self.seeds))


@dataclass(frozen=True)
class Comparison:
    """Methods, the one that the others are compared with, and how they differ from it."""

    runs: tuple[Run, ...]
    methods: tuple[Method, ...]
    reference: Method
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def result(self) -> RunResult:
        """That of the first run: it has the workload and the steps of all."""
        return self.runs[0].result

    def to_json(self) -> dict[str, Any]:
        """All of it as strict JSON values; null stands for a number that is not finite."""
        strict: dict[str, Any] = finite(
            {
                "runs": [run.name for run in self.runs],
                "workload": self.result.workload,
                "steps": self.result.steps,
                "reference": self.reference.label,
                "methods": [method.to_json() for method in self.methods],
                "differences": [asdict(each) | {"verdict": each.verdict} for each in self.differences],
                "notes": self.notes,
            }
        )
        return strict


def compare(store: str | Path, names: Sequence[str], against: str | None = None) -> Comparison:
    """Finished runs compared with `against`, a label or a run; a run may be one that is not among `names`.

    Raises:
        UsageError: a run cannot be used, the runs cannot be compared, or nothing is called `against`.
    """
    stored = {path.name for path in (existing(store).path / "runs").iterdir()}
    runs = read(store, [*names, against] if against in stored else names)
    curves = labelled(trained(runs), runs)
    by_label = {curve.label: [each for each in curves if each.label == curve.label] for curve in curves}
    methods = [Method(label, tuple(sorted(group, key=lambda curve: curve.seed))) for label, group in by_label.items()]
    reference = reference_of(methods, label_of(runs, curves, against))
    differences = [difference(method, reference) for method in methods if method is not reference]
    return Comparison(tuple(runs), tuple(methods), reference, with_holm(differences), tuple(notes(runs, methods)))


def label_of(runs: Sequence[Run], curves: Sequence[Curve], against: str | None) -> str | None:
    """The label that `against` stands for: that of what a run of this name found, else itself."""
    run = next((run for run in runs if run.name == against), None)
    return handed_over_curve(run, curves).label if run else against


def reference_of(methods: Sequence[Method], against: str | None) -> Method:
    """The reference: what has the label `against`, else the best of the reference family, or command, or the first.

    The best is that with the lowest mean validation loss.

    Raises:
        UsageError: nothing is called `against`.
    """
    if against is not None:
        match = [method for method in methods if method.label == against]
        if not match:
            raise unknown("method or run", against, [method.label for method in methods], "--against")
        return match[0]
    families, commands = (registry().marked(kind, "reference") for kind in ("schedule", "strategy"))
    family = [method for method in methods if method.curves[0].entry.name in families]
    command = [method for method in methods if method.curves[0].run.command in commands]
    return min(family or command or methods[:1], key=validation_loss)


def validation_loss(method: Method) -> float:
    """What a reference is chosen by: never by the test loss."""
    mean = method.mean("validation_loss")
    return mean if math.isfinite(mean) else math.inf


def difference(method: Method, reference: Method) -> Difference:
    others = {curve.seed: curve.entry.test_loss for curve in reference.curves}
    pairs = {c.seed: loss_difference(c.entry.test_loss, others[c.seed]) for c in method.curves if c.seed in others}
    values = tuple(pairs.values())
    interval, p = paired(values)
    return Difference(method.label, tuple(pairs), values, fmean(values) if values else math.nan, interval, p)


def loss_difference(loss: float, other: float) -> float:
    """The difference of two losses, of which one that is not finite is worse than any other."""
    worst, other_worst = not math.isfinite(loss), not math.isfinite(other)
    if worst or other_worst:
        return math.nan if worst and other_worst else math.inf if worst else -math.inf
    return loss - other


def with_holm(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    ps = holm([each.p for each in differences])
    return tuple(replace(each, p_holm=p) for each, p in zip(differences, ps, strict=True))


def notes(runs: Sequence[Run], methods: Sequence[Method]) -> Iterable[str]:
    for name in differing_settings(runs):
        values = {run.name: value_text(run.others.get(name)) for run in runs}
        by_value = {value: [run for run in values if values[run] == value] for value in values.values()}
        yield f"The runs differ in {name}: " + ", ".join(f"{v} ({', '.join(r)})" for v, r in by_value.items()) + "."
    if any(method.seeds != methods[0].seeds for method in methods):
        yield "The methods were not all run on the same seeds: compare them by their differences, not by their means."
    curves = [curve for method in methods for curve in method.curves]
    for curve in curves:
        if not math.isfinite(curve.entry.test_loss):
            yield f"{curve.label}, seed {curve.seed}: the test loss is not finite; it counts as worse than any other."
    for label in dict.fromkeys(curve.label for curve in curves if curve.entry.given):
        yield f"{label} is the schedule that each run was given, whatever search it came from."
    if names := ", ".join(run.name for run in runs if run.strategy.keys() & given_parameters(run.command)):
        yield f"The cost leaves out what led to the schedules that runs were given: {names}."
    reused = {c.run.name: c.run.result.cost.jobs_reused for c in curves if not c.entry.name}
    if counts := ", ".join(f"{name} {jobs}" for name, jobs in reused.items() if jobs):
        yield f"The cost leaves out jobs that other runs had trained: {counts}."
