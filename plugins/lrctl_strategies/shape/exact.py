"""The shape search on a workload whose loss can be computed: many shapes at once, and the true optimum.

Each family's best shape is refined until no change of one parameter makes it better, and the best LRs of all, one free
number for each step, are found by L-BFGS on their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lrctl.contracts.axes import with_peak
from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.params import fields_of
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, TrainedRun, Work
from lrctl.contracts.table import Table
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.registry.schedules import recorded
from lrctl_strategies.shape.charts import overlaid
from lrctl_strategies.shape.drawing import draw, in_full
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.settings import Setting
from lrctl_strategies.shape.space import Space, space
from lrctl_strategies.shape.tables import settings
from lrctl_strategies.shape.trials import Trials

STRIDES = tuple(0.1 / 2**i for i in range(8))
"""How far the refinement moves a parameter, as a share of its range: less and less far."""

FLOOR = 1e-6
"""The optimum is looked for from LRs of at least so much: L-BFGS sees their logarithms."""

OPTIMUM = "optimum"

OF_TRAINING = ("score_seeds", "top", "fresh_seeds", "sweep", "halving", "metric", "vary", "weight_decay")
"""The options that have no meaning where the loss of a run is computed: there is no chance in it."""


@dataclass(frozen=True)
class RefinedFamily:
    """A family's best shape, once no small change makes it better.

    Attributes:
        drawn_loss: of the best of the shapes that were drawn, at the best base LR of the grid.
    """

    space: Space
    schedule: Any
    loss: float
    drawn_loss: float


def exact(p: ShapeSearch, run: RunSpec) -> Search:
    """Draw shapes of each family, score them at every base LR, refine the best; with `optimum` find the best LRs."""
    check_options(p)
    trials = Trials(run, Setting("", run.steps), p.metric, tuple(sorted(set(p.grid))))
    families = [space(text, run.steps) for text in dict.fromkeys(p.family)]
    families += [space(text, run.steps, "--against") for text in dict.fromkeys(p.against) if text not in p.family]
    best: list[RefinedFamily] = []
    for each in families:
        best += [(yield from best_of(p, trials, each))]
    best.sort(key=lambda each: each.loss)
    if not math.isfinite(best[0].loss):
        raise NoValidCandidateError("the best shape of every family diverged; lower the base LRs of --grid")
    lrs = optimum(run, best[0].schedule) if p.optimum else None
    schedules = ([PiecewiseLinear(tuple(enumerate(lrs)))] if lrs else []) + [each.schedule for each in best]
    jobs = [SegmentJob(0, run.steps, each, evaluate=("validation", "test"), checkpoint=False) for each in schedules]
    results = yield Batch("the best schedules, trained", jobs, judge=False)
    least = results[0].metrics["test"]["loss"] if lrs else None
    trained = zip([*[None] * bool(lrs), *best], schedules, results, strict=True)
    entries = tuple(entry(*each, least, run.steps) for each in trained)
    runs = sum(len(by_lr) for by_lr in trials.losses.values())
    return SearchResult(
        schedules[0],
        results[0].key,
        results=entries,
        chosen_by="the loss, which is exact",
        next="lrctl report RUN for the figures",
        summary={**({"optimum_loss": least} if lrs else {}), "runs_computed": runs},
        tables=(table(entries, runs, p.shapes, least),),
        charts=(chart(best, lrs),),
    )


def check_options(p: ShapeSearch) -> None:
    """Refuse what would make no difference."""
    defaults = {each.name: each.default for each in fields_of(ShapeSearch)}
    if asked := [name for name in OF_TRAINING if getattr(p, name) != defaults[name]]:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError(
            f"{flags}: the loss of this workload's runs is computed, and each best shape refined until nothing is "
            "better, so this makes no difference; leave it out, or give --steps or another --workload"
        )


def best_of(p: ShapeSearch, trials: Trials, family: Space) -> Work[RefinedFamily]:
    seeds = [trials.run.seed]
    rate = partial(in_full, trials, seeds=seeds, title=f"{family.name}: {p.shapes} shapes")
    shapes = (yield from draw(p, trials, {family.name: family}, seeds, rate))[family.name]
    best = min(shapes, key=lambda shape: trials.score(shape, seeds).loss)
    score = trials.score(best, seeds)
    return RefinedFamily(family, *refined(trials, family, best, score.base_lr, score.loss), score.loss)


def refined(trials: Trials, family: Space, shape: Any, base_lr: float, loss: float) -> tuple[Any, float]:
    """A shape at its base LR, and its loss, once no small change of one parameter or of the base LR makes it better."""
    for stride in STRIDES:
        factor = 1 + 2 * stride
        while True:
            nearby = [shape, *family.neighbours(shape, stride)]
            tried = [(each, base_lr * f) for each in nearby for f in (1.0, factor, 1 / factor)]
            losses = trials.losses_at(tried)
            best = min(range(len(tried)), key=lambda i: losses[i])
            if not losses[best] < loss * (1 - 1e-9):
                break
            (shape, base_lr), loss = tried[best], losses[best]
    return with_peak(shape, base_lr), loss


def optimum(run: RunSpec, start: Any) -> list[float]:
    """The LR of each step with which the loss at the end is lowest, as far as L-BFGS gets from a schedule."""
    import numpy as np
    from scipy.optimize import minimize

    workload = run.exact
    assert workload

    def objective(logs: Any) -> tuple[float, Any]:
        lrs = np.exp(logs)
        loss, gradient = workload.expected_gradient(lrs)
        return float(np.log(loss)), gradient * lrs / loss

    logs = np.log(np.maximum([start(step) for step in range(run.steps)], FLOOR))
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 30}
    lrs: list[float] = np.exp(minimize(objective, logs, jac=True, method="L-BFGS-B", options=options).x).tolist()
    return lrs


def entry(best: RefinedFamily | None, schedule: Any, result: JobResult, least: float | None, steps: int) -> TrainedRun:
    """A family's best shape, or the optimum (None), as the results have it: what was computed cost no run."""
    loss = result.metrics["test"]["loss"]
    searched = {"drawn_loss": best.drawn_loss, "searched": best.space.values(best.schedule)} if best else {}
    return TrainedRun(
        best.space.name if best else OPTIMUM,
        recorded(schedule),
        result.key,
        train_loss=result.mean_loss if result.train_loss is None else result.train_loss,
        validation_loss=result.metrics["validation"]["loss"],
        test_loss=loss,
        full_runs=result.spent_steps / steps,
        details={**searched, **({"distance": loss / least - 1} if least else {})},
    )


def table(entries: Sequence[TrainedRun], runs: int, shapes: int, least: float | None) -> Table:
    rows = tuple(
        (
            each.name,
            f"{each.test_loss:.6f}",
            *([f"{each.details['distance']:+.2%}"] if least else []),
            f"{each.details['drawn_loss']:.6f}" if "drawn_loss" in each.details else "",
            f"{each.schedule.params['peak_lr']:.4g}" if "peak_lr" in each.schedule.params else "",
            settings(each.details.get("searched", {})),
        )
        for each in entries
    )
    columns = ("schedule", "loss", *(["above the optimum"] if least else []), "best drawn", "base LR", "shape")
    told = (
        f"Loss: exact; of the best of {shapes} shapes, refined until no small change of one parameter made it better.",
        f"Best drawn: before that, at the best base LR. {runs} runs were computed in all.",
    )
    return Table("The best shape of each family", columns, rows, told)


def chart(best: Sequence[RefinedFamily], lrs: Sequence[float] | None) -> Chart:
    drawn = overlaid("schedules", "The best schedules", [(each.space.name, each.schedule) for each in best])
    at = tuple(step / len(lrs) for step in range(len(lrs))) if lrs else ()
    series = (*([Series(OPTIMUM, at, tuple(lrs))] if lrs else []), *drawn.series)
    return replace(drawn, y="LR", caption="The LR over the run of what is best in each family.", series=series)
