"""What a search for the best shape came to, and that as JSON: its tables, charts and result document come from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lrctl.analysis.statistics import LEVEL, paired_tests, verdict
from lrctl.contracts.axes import with_peak
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import params_of
from lrctl.registry.registry import registry
from lrctl_strategies.shape.settings import Setting
from lrctl_strategies.shape.space import Space
from lrctl_strategies.shape.sweep import Sweep
from lrctl_strategies.shape.trials import Score, Trial, Trials

RESAMPLES = 2000


@dataclass(frozen=True)
class RankedFamily:
    """A family's best shape, by the median loss with fresh seeds.

    Attributes:
        score: by which the shape was picked, from the seeds of the search.
        loss: with fresh seeds at the same base LR.
        drawn: how many shapes of the family were scored.
    """

    space: Space
    shape: Any
    score: Score
    loss: float
    drawn: int

    @property
    def schedule(self) -> Any:
        return with_peak(self.shape, self.score.base_lr)

    def trial(self, seed: int) -> Trial:
        return Trial(self.shape, self.score.base_lr, seed)


@dataclass
class SettingResult:
    """What the search came to in one setting: the families, best first, and all that was measured."""

    trials: Trials
    spaces: dict[str, Space]
    shapes: dict[str, list[Any]]
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    ranked: list[RankedFamily] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)

    @property
    def best(self) -> RankedFamily:
        """The best of the families that were searched; those to compare with do not count."""
        return next(each for each in self.ranked if not each.space.reference)

    @property
    def references(self) -> list[RankedFamily]:
        return [each for each in self.ranked if each.space.reference]

    @property
    def unseen(self) -> tuple[int, ...]:
        """As many seeds again, which neither picked nor ranked a shape: for the comparison with tuned ones."""
        return tuple(seed + len(self.fresh) for seed in self.fresh)

    @property
    def setting(self) -> Setting:
        return self.trials.setting

    def trained(self, ranked: RankedFamily, seed: int) -> JobResult | None:
        return self.trials.results.get(ranked.trial(seed))

    def losses(self, ranked: RankedFamily) -> list[float]:
        """The loss with each fresh seed; +inf where the shape was not trained again, since it always diverged."""
        by_seed = self.trials.losses.get(ranked.shape, {}).get(ranked.score.base_lr, {})
        return [by_seed.get(seed, math.inf) for seed in self.fresh]

    def test_losses(self, ranked: RankedFamily, seeds: Sequence[int]) -> list[float]:
        """The test loss with each of some seeds; +inf where it was not trained, since the shape diverged."""
        results = [self.trained(ranked, seed) for seed in seeds]
        return [
            result.metrics["test"]["loss"] if result and "test" in result.metrics else math.inf for result in results
        ]

    def to_json(self) -> dict[str, Any]:
        losses = [loss for by_lr in self.trials.losses.values() for of in by_lr.values() for loss in of.values()]
        return {
            "setting": self.setting.label,
            "steps": self.setting.steps,
            "runs": len(losses),
            "runs_diverged": sum(not math.isfinite(loss) for loss in losses),
            "families": [self.family(each) for each in self.ranked],
            "best": self.family(self.best),
            "against": self.against(),
            "sweeps": [asdict(each) for each in self.sweeps],
            "near_optimal": near_optimal(self.sweeps),
            "references": [each.space.name for each in self.references],
            "shapes": [self.scored(name, shape) for name, each in self.shapes.items() for shape in each],
        }

    def family(self, ranked: RankedFamily) -> dict[str, Any]:
        losses = self.losses(ranked)
        return {
            "name": ranked.space.name,
            "family": registry().family(ranked.shape),
            "params": params_of(ranked.schedule),
            "searched": ranked.space.values(ranked.shape),
            "base_lr": ranked.score.base_lr,
            "edge": ranked.score.edge,
            "score": ranked.score.loss,
            "loss": ranked.loss,
            "interval": of_median(losses),
            "losses": losses,
            "test_losses": self.test_losses(ranked, self.fresh),
            "shapes": ranked.drawn,
        }

    def against(self) -> list[dict[str, Any]]:
        """The best shape's test loss minus that of each family it is compared with, on seeds that ranked neither.

        With the 95 % t interval, and p after Holm's correction over these families. Not finite where one diverged.
        """
        ours = self.test_losses(self.best, self.unseen)
        theirs = [self.test_losses(each, self.unseen) for each in self.references]
        differences = [[a - b for a, b in zip(ours, each, strict=True)] for each in theirs]
        return [
            {
                "best": self.best.space.name,
                "against": each.space.name,
                "difference": mean,
                "interval": interval,
                "p": p,
                "verdict": verdict(mean, p, len(self.unseen)),
            }
            for each, (mean, interval, _, p) in zip(self.references, paired_tests(differences), strict=True)
        ]

    def scored(self, name: str, shape: Any) -> dict[str, Any]:
        score = self.trials.rated(shape, self.seeds)
        return {
            "family": name,
            "searched": self.spaces[name].values(shape),
            "base_lr": score.base_lr,
            "edge": score.edge,
            "score": score.loss,
        }


def near_optimal(sweeps: Sequence[Sweep]) -> bool | None:
    """Whether no change of one parameter is better beyond the error; None where no error is known."""
    points = [point for each in sweeps for point in each.points]
    return not any(point.better for point in points) if any(point.p is not None for point in points) else None


def of_median(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % bootstrap percentile interval of the median; None for fewer than two values, or if some are not finite.

    With few values it is little more than their range. The same values always give the same interval.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    import numpy as np

    # The legacy generator: numpy promises that its stream never changes.
    drawn = np.random.RandomState(0).randint(len(values), size=(RESAMPLES, len(values)))
    medians = np.median(np.asarray(values)[drawn], axis=1)
    low, high = np.quantile(medians, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
