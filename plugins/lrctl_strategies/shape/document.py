"""Everything about a search in one setting as JSON: what its tables, charts and the result document are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lrctl.analysis.statistics import holm, paired, verdict
from lrctl.contracts.schedule import params_of
from lrctl.registry.registry import registry
from lrctl_strategies.intervals import of_median
from lrctl_strategies.shape.trials import Trial

if TYPE_CHECKING:
    from lrctl_strategies.shape.result import RankedFamily, SettingResult
    from lrctl_strategies.shape.sweep import Sweep


def of_setting(searched: SettingResult) -> dict[str, Any]:
    losses = [loss for by_lr in searched.trials.losses.values() for of in by_lr.values() for loss in of.values()]
    return {
        "setting": searched.setting.label,
        "steps": searched.setting.steps,
        "runs": len(losses),
        "runs_diverged": sum(not math.isfinite(loss) for loss in losses),
        "families": [family(searched, each) for each in searched.ranked],
        "best": family(searched, searched.best),
        "against": against(searched),
        "sweeps": [asdict(each) for each in searched.sweeps],
        "near_optimal": near_optimal(searched.sweeps),
        "references": [each.name for each in searched.references],
        "shapes": [scored(searched, name, shape) for name, each in searched.shapes.items() for shape in each],
    }


def near_optimal(sweeps: Sequence[Sweep]) -> bool | None:
    """Whether no change of one parameter is better beyond the error; None where no error is known."""
    points = [point for each in sweeps for point in each.points]
    return not any(point.better for point in points) if any(point.p is not None for point in points) else None


def family(searched: SettingResult, ranked: RankedFamily) -> dict[str, Any]:
    by_seed = losses_of(searched, ranked)
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
        "test_losses": tests_of(searched, ranked, searched.fresh),
        "shapes": ranked.drawn,
    }


def losses_of(searched: SettingResult, ranked: RankedFamily) -> list[float]:
    """The loss with each fresh seed; +inf where the shape was not trained again, since it always diverged."""
    by_seed = searched.trials.losses.get(ranked.shape, {}).get(ranked.base_lr, {})
    return [by_seed.get(seed, math.inf) for seed in searched.fresh]


def tests_of(searched: SettingResult, ranked: RankedFamily, seeds: Sequence[int]) -> list[float]:
    """The test loss with each of some seeds; +inf where it was not trained, since the shape diverged."""
    results = [searched.trials.results.get(Trial(ranked.shape, ranked.base_lr, seed)) for seed in seeds]
    return [result.metrics["test"]["loss"] if result and "test" in result.metrics else math.inf for result in results]


def against(searched: SettingResult) -> list[dict[str, Any]]:
    """The best shape's test loss minus that of each family it is compared with, on seeds that ranked neither.

    With the 95 % t interval, and p after Holm's correction over these families. NaN if a run of either diverged.
    """
    best, others = searched.best, searched.references
    ours = tests_of(searched, best, searched.unseen)
    differences = [
        [a - b for a, b in zip(ours, tests_of(searched, each, searched.unseen), strict=True)] for each in others
    ]
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
            "verdict": verdict(mean, p, len(searched.unseen)),
        }
        for each, mean, (interval, _), p in zip(others, means, tested, corrected, strict=True)
    ]


def scored(searched: SettingResult, name: str, shape: Any) -> dict[str, Any]:
    score = searched.trials.rated(shape, searched.seeds)
    return {
        "family": name,
        "searched": searched.spaces[name].values(shape),
        "base_lr": score.base_lr,
        "edge": score.edge,
        "score": score.loss,
    }
