"""Closed forms of a schedule that was found: families fitted to it, predicted, and trained with their peak LR tuned.

The paper designs its triangle and quadratic schedules by looking at a found one (section 4.3, Table 4), and stretches
a found one to a longer run (section 4.2, Figure 8). Here this is a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lrctl.contracts.axes import scalable, stretch
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule, params_of
from lrctl.contracts.strategy import RunSpec, Search, SearchResult
from lrctl.contracts.table import Table
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.registry.schedules import parse_schedule
from lrctl_strategies.closed_form.fitting import Fit, fit, rank
from lrctl_strategies.closed_form.params import FitClosedForm
from lrctl_strategies.closed_form.prediction import measured, predicted
from lrctl_strategies.families import check_tunable, every_tunable
from lrctl_strategies.reference import beside_plain_run
from lrctl_strategies.tuning.side_by_side import SideBySide, setting
from lrctl_strategies.tuning.tuning import PEAK, Tuning, start, value_of

FOUND = "found"

NEXT = "the same with --tune, which trains the best of them beside the schedule and tuned baselines"


def fit_closed_form(p: FitClosedForm, run: RunSpec) -> Search:
    schedule = given(p, run)
    fits, notes = fitted(p.family, schedule, run.steps)
    table = [entry(each) for each in fits]
    if p.predict or p.gradient_norms:
        norms = (yield from measured(schedule, run)) if p.gradient_norms else None
        rows = predicted(fits, schedule, run.steps, norms)
        if not rows:
            raise UsageError("--predict: no family comes nearer to the schedule than no LR at all")
        table = [entry(each) | {"bound": bound} for each, bound in rows]
        fits = [each for each, _ in rows]
    summary, tables = {"fits": table}, (closed_forms(table),)
    if not (p.tune or p.stretch):
        return SearchResult(fits[0].schedule, None, next=NEXT, summary=summary, notes=notes, tables=tables)
    tuned = yield from SideBySide(shapes(p, schedule, fits, run.steps), run.steps).search(p.objective, p.refine)
    found = replace(
        tuned, summary={**summary, **tuned.summary}, notes=(*notes, *tuned.notes), tables=(*tables, *tuned.tables)
    )
    return (yield from beside_plain_run(p, found, value_of(tuned.schedule, PEAK), run))


def fitted(named: Sequence[str], schedule: Schedule, steps: int) -> tuple[list[Fit], tuple[str, ...]]:
    for family in named:
        check_tunable(family)
    fits, notes = [], []
    for family in dict.fromkeys(named or every_tunable()):
        try:
            fits.append(fit(family, schedule, steps))
        except Exception as error:  # anybody's family may fail in any way
            notes.append(f"{family} could not be fitted: {type(error).__name__}: {error}")
    if not fits or (named and notes):
        raise UsageError(f"--family {notes[0]}")
    return rank(fits), tuple(notes)


def given(p: FitClosedForm, run: RunSpec) -> Any:
    """The schedule to fit, stretched to the run's length if that is asked for."""
    schedule, steps = parse_schedule(p.source, "source")
    if isinstance(schedule, AdaptiveSchedule):
        raise UsageError("source: an adaptive schedule has no LRs before a run; give the run that used it")
    if run.steps != (p.stretch or steps):
        raise UsageError(
            f"the schedule is for {steps} steps and the run has {run.steps}; give --stretch {run.steps} to stretch it"
        )
    whole = scalable(type(schedule)) and schedule.steps == steps
    if not (isinstance(schedule, PiecewiseLinear) or whole):
        schedule = PiecewiseLinear(tuple((step, schedule(step)) for step in range(steps + 1)))
    if run.steps != steps:
        schedule = stretch(schedule, steps, run.steps)
    if not any(schedule(step) for step in range(run.steps)):
        raise UsageError(f"source: over {run.steps} steps the schedule is 0 at every step, so there is nothing to fit")
    return schedule


def shapes(p: FitClosedForm, schedule: Any, fits: Sequence[Fit], steps: int) -> list[Tuning]:
    grid = tuple(sorted(p.grid))
    peaks = grid if p.stretch else (value_of(schedule, PEAK),)
    own = Tuning(FOUND, registry().family(schedule), schedule, {PEAK: peaks}, p.objective, given=not p.stretch)
    if not p.tune:
        return [own]
    best = [each for each in fits if p.family or each in fits[: p.top]]
    forms = [
        Tuning(named(each), each.family, each.schedule, {PEAK: grid}, p.objective, origin={"fit_error": each.error})
        for each in best
    ]
    # A family without shape parameters is the same, fitted or not.
    others = [family for family in dict.fromkeys(p.baseline) if family not in {form.name for form in forms}]
    return [own, *forms, *(start(family, steps, p.grid, p.objective, flag="--baseline") for family in others)]


def named(fitted: Fit) -> str:
    """What a fit is called in the results: a family without shape parameters is what it always is."""
    return fitted.family if fitted.parameters == (PEAK,) else f"{fitted.family}, fitted"


def entry(fitted: Fit) -> dict[str, Any]:
    return {
        "family": fitted.family,
        "params": params_of(fitted.schedule),
        "error": fitted.error,
        "parameters": len(fitted.parameters),
        "fitted": list(fitted.parameters),
    }


def closed_forms(fits: Sequence[Mapping[str, Any]]) -> Table:
    predicted = any("bound" in entry for entry in fits)
    rows = (
        (
            entry["family"],
            *([f"{entry['bound']:.4f}"] if predicted else []),
            f"{entry['error']:.4f}",
            str(entry["parameters"]),
            " ".join(f"{name}={setting(entry['params'][name])}" for name in entry["fitted"]),
        )
        for entry in fits
    )
    notes = [
        "Error: the root mean square of the difference over that of the schedule itself; 0 is the same schedule.",
        "Each fitted parameter makes it smaller, which says nothing of how well the schedule trains.",
    ]
    if predicted:
        notes += [
            "Bound: from convex optimisation, at the shape's best peak_lr, over that of the schedule itself; below 1",
            "predicts a better shape. Deep networks are not convex: it is a guess.",
        ]
    columns = ("family", *(["bound"] if predicted else []), "error", "parameters", "fitted")
    return Table("Closed forms of the schedule", columns, tuple(rows), tuple(notes))
