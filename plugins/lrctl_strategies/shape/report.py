"""What a search for the best shape comes to: its results, notes, tables and charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import RunSpec, SearchResult, TrainedRun
from lrctl.registry.schedules import recorded
from lrctl_strategies.shape import charts, tables
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.result import RankedFamily, SettingResult

NEXT = "lrctl report RUN for the figures; lrctl baseline and lrctl compare for other schedules"


def answer(p: ShapeSearch, run: RunSpec, results: Sequence[SettingResult]) -> SearchResult:
    """What was found, best setting first among those of the recipe's own length; it is handed over."""
    documents = [each.to_json() for each in results]
    own = [each for each in results if each.setting.steps == run.steps]
    best = min(own, key=lambda each: each.ranked[0].loss, default=None)
    schedule, key = handed_over(best) if best else (None, None)
    shown = [table for document in documents for table in tables.of_setting(document)]
    if len(results) > 1:
        shown.append(tables.of_settings(documents))
        drawn = charts.of_settings(results, documents)
    else:
        drawn = charts.of_search(results[0], documents[0])
    return SearchResult(
        schedule,
        key,
        results=tuple(entry for each in own for entry in entries(each, key)),
        chosen_by="validation loss" if p.metric == "validation" else "training loss",
        next=NEXT,
        summary={"settings": documents},
        notes=tuple(note for each in results for note in notes(p, each)),
        tables=tuple(shown),
        charts=drawn,
    )


def handed_over(searched: SettingResult) -> tuple[Any, str]:
    """The best schedule, and the key of its run with the first fresh seed: no run is picked for its luck.

    But a run that diverged is of no use to anybody: then it is the first that did not.
    """
    best = searched.ranked[0]
    ended = (seed for seed, loss in zip(searched.fresh, searched.losses(best), strict=True) if math.isfinite(loss))
    result = searched.trained(best, next(ended))
    assert result
    return best.schedule, result.key


def entries(searched: SettingResult, handed: str | None) -> list[TrainedRun]:
    """A result for each family and fresh seed, what is handed over first, as `lrctl compare` and `report` take them."""
    made = [
        entry(searched, ranked, seed, result)
        for ranked in searched.ranked
        for seed in searched.fresh
        if (result := searched.trained(ranked, seed))
    ]
    return sorted(made, key=lambda each: each.checkpoint != handed)


def entry(searched: SettingResult, ranked: RankedFamily, seed: int, result: JobResult) -> TrainedRun:
    label = f" ({searched.setting.label})" if searched.setting.label else ""
    spent = sum(searched.trials.spent_steps[shape] for shape in searched.shapes[ranked.space.name])
    return TrainedRun(
        ranked.space.name + label,
        recorded(ranked.schedule),
        result.key,
        train_loss=result.stage_losses[0],
        validation_loss=result.metrics["validation"]["loss"],
        test_loss=result.metrics["test"]["loss"],
        full_runs=spent / searched.setting.steps,
        seed=seed,
        metrics=result.other_metrics,
    )


def notes(p: ShapeSearch, searched: SettingResult) -> list[str]:
    where = f"{searched.setting.label}: " if searched.setting.label else ""
    told, first, best = [], searched.ranked[0], searched.best
    if edges := [each.space.name for each in searched.ranked if each.score.edge]:
        told.append(f"{where}the best base LR of {', '.join(edges)} is still at the edge of those tried")
    if first is not best:
        told.append(
            f"{where}{first.space.name} was better than the best shape that was drawn, of {best.space.name}; "
            "the better one is handed over"
        )
    if p.halving:
        told.append(f"{where}shapes that successive halving gave up on have the score that they had then")
    return told
