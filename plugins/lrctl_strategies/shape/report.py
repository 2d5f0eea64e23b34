"""What a search for the best shape has to say: its result document, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lrctl.analysis.statistics import LEVEL, holm, paired
from lrctl.contracts.schedule import params_of
from lrctl.contracts.strategy import RunSpec, SearchResult, TrainedRun
from lrctl.registry.registry import registry
from lrctl.registry.schedules import recorded
from lrctl_strategies.intervals import of_median
from lrctl_strategies.shape import charts as charts
from lrctl_strategies.shape import tables as tables
from lrctl_strategies.shape.trials import Trial

if TYPE_CHECKING:
    from lrctl_strategies.shape.params import ShapeSearch
    from lrctl_strategies.shape.result import Ranked, Searched
    from lrctl_strategies.shape.sweep import Sweep

NEXT = "lrctl report RUN for the figures; lrctl baseline and lrctl compare for other schedules"


def answer(p: ShapeSearch, run: RunSpec, searched: Sequence[Searched]) -> SearchResult:
    """What was found, best setting first among those of the recipe's own length; it is handed over."""
    documents = [of_setting(each) for each in searched]
    own = [each for each in searched if each.setting.steps == run.steps]
    best = min(own, key=lambda each: each.ranked[0].loss, default=None)
    schedule, key = handed_over(best) if best else (None, None)
    return SearchResult(
        schedule,
        key,
        results=tuple(entry for each in own for entry in entries(each, key)),
        chosen_by="validation loss" if p.metric == "validation" else "training loss",
        next=NEXT,
        summary={"settings": documents},
        notes=tuple(note for each in searched for note in notes(p, each)),
        tables=tuple(table for document in documents for table in tables.of_setting(document))
        + (tables.of_settings(documents),) * (len(documents) > 1),
        charts=charts.of_search(searched[0], documents[0])
        if len(searched) == 1
        else charts.of_settings(searched, documents),
    )


def handed_over(found: Searched) -> tuple[Any, str]:
    """The best schedule, and the key of its run with the first fresh seed: no run is picked for its luck.

    But a run that diverged is of no use to anybody: then it is the first that did not.
    """
    best = found.ranked[0]
    ended = (seed for seed, loss in zip(found.fresh, losses_of(found, best), strict=True) if math.isfinite(loss))
    return best.schedule, found.bench.results[Trial(best.shape, best.base_lr, next(ended))].key


def of_setting(found: Searched) -> dict[str, Any]:
    """Everything about one setting as JSON."""
    losses = [loss for by_lr in found.bench.losses.values() for of in by_lr.values() for loss in of.values()]
    return {
        "setting": found.setting.label,
        "steps": found.setting.steps,
        "runs": len(losses),
        "runs_diverged": sum(not math.isfinite(loss) for loss in losses),
        "families": [family(found, each) for each in found.ranked],
        "best": family(found, found.best),
        "against": against(found),
        "sweeps": [sweep_json(each) for each in found.sweeps],
        "near_optimal": near_optimal(found.sweeps),
        "references": [each.name for each in found.references],
        "shapes": [scored(found, name, shape) for name, each in found.shapes.items() for shape in each],
    }


def near_optimal(sweeps: Sequence[Sweep]) -> bool | None:
    """Whether no change of one parameter is better beyond the error; None where no error is known."""
    points = [point for each in sweeps for point in each.points]
    return not any(point.better for point in points) if any(point.p is not None for point in points) else None


def family(found: Searched, ranked: Ranked) -> dict[str, Any]:
    """A family's best shape, with its losses over the fresh seeds."""
    by_seed = losses_of(found, ranked)
    return {
        "name": ranked.name,
        "family": registry().family(ranked.shape),
        "params": params_of(ranked.schedule),
        "searched": ranked.space.values(ranked.shape),
        "base_lr": ranked.base_lr,
        "edge": ranked.edge,
        "score": ranked.score,
        "loss": ranked.loss,
        "interval": of_median(by_seed),
        "losses": by_seed,
        "test_losses": tests_of(found, ranked, found.fresh),
        "shapes": ranked.drawn,
    }


def losses_of(found: Searched, ranked: Ranked) -> list[float]:
    """The loss with each fresh seed; +inf where the shape was not trained again, since it always diverged."""
    by_seed = found.bench.losses.get(ranked.shape, {}).get(ranked.base_lr, {})
    return [by_seed.get(seed, math.inf) for seed in found.fresh]


def tests_of(found: Searched, ranked: Ranked, seeds: Sequence[int]) -> list[float]:
    """The test loss with each of some seeds; +inf where it was not trained, since the shape diverged."""
    trials = [Trial(ranked.shape, ranked.base_lr, seed) for seed in seeds]
    results = [found.bench.results.get(trial) for trial in trials]
    return [result.metrics["test"]["loss"] if result and "test" in result.metrics else math.inf for result in results]


def against(found: Searched) -> list[dict[str, Any]]:
    """The best shape's test loss minus that of each family it is compared with, on seeds that ranked neither.

    With the 95 % t interval, and p after Holm's correction over these families. NaN if a run of either diverged.
    """
    best, others = found.best, found.references
    ours = tests_of(found, best, found.unseen)
    differences = [[a - b for a, b in zip(ours, tests_of(found, each, found.unseen), strict=True)] for each in others]
    tested = list(map(paired, differences))
    means = [fmean(d) if all(map(math.isfinite, d)) else math.nan for d in differences]
    corrected = holm([p for _, p in tested])
    return [
        {
            "best": best.name,
            "against": each.name,
            "difference": mean,
            "interval": interval,
            "p": p,
            "verdict": verdict(mean, p),
        }
        for each, mean, (interval, _), p in zip(others, means, tested, corrected, strict=True)
    ]


def verdict(difference: float, p: float | None) -> str:
    """What can be said of a difference: lower is better."""
    if p is None or p >= LEVEL:
        return "no difference shown"
    return "better" if difference < 0 else "worse"


def sweep_json(sweep: Sweep) -> dict[str, Any]:
    """A sweep as JSON."""
    points = [
        {
            "value": each.value,
            "base_lr": each.base_lr,
            "loss": each.loss,
            "difference": each.difference,
            "interval": each.interval,
            "p": each.p,
            "better": each.better,
        }
        for each in sweep.points
    ]
    return {"parameter": sweep.parameter, "value": sweep.value, "loss": sweep.loss, "points": points}


def scored(found: Searched, name: str, shape: Any) -> dict[str, Any]:
    """A shape that was drawn, and its score by the seeds of the search."""
    score = found.bench.rated(shape, found.seeds)
    return {
        "family": name,
        "searched": found.spaces[name].values(shape),
        "base_lr": score.base_lr,
        "edge": score.edge,
        "score": score.loss,
    }


def entries(found: Searched, handed: str | None) -> list[TrainedRun]:
    """A result for each family and fresh seed, what is handed over first, as `lrctl compare` and `report` take them."""
    made = []
    for ranked in found.ranked:
        for seed in found.fresh:
            result = found.bench.results.get(Trial(ranked.shape, ranked.base_lr, seed))
            if result is not None:
                made.append(entry(found, ranked, seed, result))
    return sorted(made, key=lambda each: each.checkpoint != handed)


def entry(found: Searched, ranked: Ranked, seed: int, result: Any) -> TrainedRun:
    """One trained run of a family's best shape."""
    label = f" ({found.setting.label})" if found.setting.label else ""
    tried = {shape: found.bench.losses.get(shape, {}) for shape in found.shapes[ranked.name]}
    return TrainedRun(
        ranked.name + label,
        recorded(ranked.schedule),
        result.key,
        train_loss=result.stage_losses[0],
        validation_loss=result.metrics["validation"]["loss"],
        test_loss=result.metrics["test"]["loss"],
        full_runs=sum(len(of) for by_lr in tried.values() for of in by_lr.values()),
        seed=seed,
    )


def notes(p: ShapeSearch, found: Searched) -> list[str]:
    """What the user should know."""
    where = f"{found.setting.label}: " if found.setting.label else ""
    told = []
    if edges := [each.name for each in found.ranked if each.edge]:
        told.append(f"{where}the best base LR of {', '.join(edges)} is still at the edge of those tried")
    if found.ranked[0] is not found.best:
        told.append(
            f"{where}{found.ranked[0].name} was better than the best shape that was drawn, of {found.best.name}; "
            "the better one is handed over"
        )
    if p.halving:
        told.append(f"{where}shapes that successive halving gave up on have the score that they had then")
    return told
