"""What the exact search for the best shape has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import SearchResult, TrainedRun
from lrctl.contracts.table import Table
from lrctl.registry.schedules import recorded
from lrctl_strategies.shape.charts import shapes
from lrctl_strategies.shape.tables import settings
from lrctl_strategies.shape.trials import Trials

if TYPE_CHECKING:
    from lrctl_strategies.shape.params import ShapeSearch
    from lrctl_strategies.shape.result import RefinedFamily

OPTIMUM = "optimum"


def answer(
    p: ShapeSearch,
    trials: Trials,
    refined: Sequence[RefinedFamily],
    lrs: Sequence[float] | None,
    schedules: Sequence[Any],
    results: Sequence[JobResult],
) -> SearchResult:
    least = results[0].metrics["test"]["loss"] if lrs else None
    trained = zip([*[None] * bool(lrs), *refined], schedules, results, strict=True)
    entries = tuple(entry(p, *each, least) for each in trained)
    runs = sum(len(by_lr) for by_lr in trials.losses.values())
    return SearchResult(
        schedules[0],
        results[0].key,
        results=entries,
        chosen_by="the loss, which is exact",
        next="lrctl report RUN for the figures",
        summary={**({"optimum_loss": least} if lrs else {}), "runs_computed": runs},
        tables=(table(entries, runs, p.shapes, least),),
        charts=(overlaid(refined, lrs),),
    )


def entry(
    p: ShapeSearch, best: RefinedFamily | None, schedule: Any, result: JobResult, least: float | None
) -> TrainedRun:
    """A family's best shape, or the optimum (None), as the results have it."""
    loss = result.metrics["test"]["loss"]
    searched = {"drawn_loss": best.drawn_loss, "searched": best.space.values(best.shape)} if best else {}
    return TrainedRun(
        best.name if best else OPTIMUM,
        recorded(schedule),
        result.key,
        train_loss=result.mean_loss if result.train_loss is None else result.train_loss,
        validation_loss=result.metrics["validation"]["loss"],
        test_loss=loss,
        full_runs=p.shapes,
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


def overlaid(refined: Sequence[RefinedFamily], lrs: Sequence[float] | None) -> Chart:
    best = shapes("schedules", "The best schedules", [(best.name, best.schedule) for best in refined])
    drawn = replace(best, y="LR", caption="The LR over the run of what is best in each family.")
    if not lrs:
        return drawn
    at = tuple(step / len(lrs) for step in range(len(lrs)))
    return replace(drawn, series=(Series(OPTIMUM, at, tuple(lrs)), *drawn.series))
