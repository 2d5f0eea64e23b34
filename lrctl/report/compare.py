"""Methods side by side: their losses over seeds, and what can be said of the differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from lrctl.analysis.statistics import paired_tests, verdict
from lrctl.contracts.canonical import finite
from lrctl.contracts.table import number
from lrctl.errors import UsageError, unknown
from lrctl.registry.registry import registry
from lrctl.report.curves import Curve, handed_over_curve, trained
from lrctl.report.labels import by_label, differing_settings, given_parameters, labelled
from lrctl.report.runs import Run, read, value_text
from lrctl.storage.named import one_run
from lrctl.storage.run_result import LOSSES, RunResult
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

    @property
    def beside(self) -> tuple[Curve, ...]:
        """The plain runs that were trained for comparison with what it found."""
        plain = ((curve.run.result.reference, curve) for curve in self.curves)
        return tuple(
            replace(curve, label=f"plain {run.name} beside {self.label}", entry=run)
            for run, curve in plain
            if run and curve.entry.checkpoint == curve.run.result.checkpoint
        )

    def mean(self, name: str) -> float:
        """The mean over seeds of a loss or of `full_runs`; NaN if one is not finite."""
        return fmean(getattr(curve.entry, name) for curve in self.curves)

    @property
    def metrics(self) -> dict[str, float]:
        """The means of the metrics of the test data, beside the loss, that all its runs have."""
        every = [curve.entry.metrics.get("test", {}) for curve in self.curves]
        return {name: fmean(of[name] for of in every) for name in every[0] if all(name in of for of in every)}

    def to_json(self) -> dict[str, Any]:
        runs = [
            {"run": each.run.name, "seed": each.seed, "checkpoint": each.entry.checkpoint}
            | {name: getattr(each.entry, name) for name in MEASURES}
            | ({"metrics": each.entry.metrics} if each.entry.metrics else {})
            for each in self.curves
        ]
        mean = {name: self.mean(name) for name in MEASURES} | ({"metrics": self.metrics} if self.metrics else {})
        return {"label": self.label, "mean": mean, "runs": runs}


@dataclass(frozen=True)
class Difference:
    """The test loss of a method minus that of the reference, on the seeds that both have.

    Attributes:
        values: by seed; +inf where only the method's loss is not finite, -inf where only the reference's is not, NaN
            where both are not.
        interval: of the mean, 95 %, wider by as much as p is corrected; None with one seed, or where one is not finite.
        p: of the paired t test.
        p_holm: the same with Holm's correction over all methods compared.
    """

    label: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None

    @property
    def verdict(self) -> str:
        return verdict(self.mean, self.p_holm, len(self.seeds))


@dataclass(frozen=True)
class Comparison:
    runs: tuple[Run, ...]
    methods: tuple[Method, ...]
    reference: Method
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def plain(self) -> tuple[Method, ...]:
        """The plain runs beside the methods, to be drawn with them; none of those that are drawn already."""
        drawn = {(curve.seed, curve.entry.checkpoint) for method in self.methods for curve in method.curves}
        found = []
        for method in self.methods:
            others = tuple(curve for curve in method.beside if (curve.seed, curve.entry.checkpoint) not in drawn)
            drawn |= {(curve.seed, curve.entry.checkpoint) for curve in others}
            found += [Method(others[0].label, others)] if others else []
        return tuple(found)

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
    place = existing(store)
    run = against if against in place.runs.names() else None
    runs, curves, methods = _methods(store, [*names, run] if run else names)
    if against is not None and not run and against not in (method.label for method in methods):
        with suppress(UsageError):  # it is no run either
            run = one_run(place, against, finished=True)
            runs, curves, methods = _methods(store, [*names, run])
    found_by = next((each for each in runs if each.name == run), None)  # it stands for what it found
    reference = reference_of(methods, handed_over_curve(found_by, curves).label if found_by else against)
    found = differences([method for method in methods if method is not reference], reference)
    return Comparison(tuple(runs), tuple(methods), reference, tuple(found), tuple(notes(runs, methods)))


def _methods(store: str | Path, names: Sequence[str]) -> tuple[list[Run], list[Curve], list[Method]]:
    runs = read(store, names)
    curves = labelled(trained(runs), runs)
    groups = by_label(curves).items()
    return runs, curves, [Method(label, tuple(sorted(group, key=lambda curve: curve.seed))) for label, group in groups]


def reference_of(methods: Sequence[Method], against: str | None) -> Method:
    """The reference: what has the label `against`, else the best of the reference family, or command, or the first.

    The best is that with the lowest mean validation loss, never by the test loss.
    """
    labels = [method.label for method in methods]
    if against is not None:
        if against not in labels:
            raise unknown("method or run", against, labels, "--against")
        return methods[labels.index(against)]
    families, commands = (registry().marked(kind, "reference") for kind in ("schedule", "strategy"))
    family = [method for method in methods if method.curves[0].entry.name in families]
    command = [method for method in methods if method.curves[0].run.command in commands]
    return min(family or command or methods[:1], key=lambda method: at_worst(method.mean("validation_loss")))


def at_worst(loss: float | None) -> float:
    """A loss, of which one that is not finite is worse than any other."""
    return loss if loss is not None and math.isfinite(loss) else math.inf


def differences(methods: Sequence[Method], reference: Method) -> list[Difference]:
    others = {curve.seed: at_worst(curve.entry.test_loss) for curve in reference.curves}
    pairs = [
        {c.seed: at_worst(c.entry.test_loss) - others[c.seed] for c in method.curves if c.seed in others}
        for method in methods
    ]
    values = [tuple(of_seeds.values()) for of_seeds in pairs]
    told = zip(methods, pairs, values, paired_tests(values), strict=True)
    return [Difference(method.label, tuple(of_seeds), each, *test) for method, of_seeds, each, test in told]


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
    for method in methods:
        if plain := method.beside:
            means = {loss: fmean(getattr(each.entry, loss) for each in plain) for loss in LOSSES}
            losses = (f"{loss.replace('_', ' ')} {number(mean)}" for loss, mean in means.items())
            yield f"Plain runs beside {method.label} ({len(plain)}, one a search) ended at {', '.join(losses)}."
    reused = {c.run.name: c.run.result.cost.jobs_reused for c in curves if not c.entry.name}
    if counts := ", ".join(f"{name} {jobs}" for name, jobs in reused.items() if jobs):
        yield f"The cost leaves out jobs that other runs had trained: {counts}."
