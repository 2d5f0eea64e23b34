"""Is a shape near-optimal? One parameter at a time is changed, with the base LR tuned anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrctl.analysis.statistics import paired_tests, verdict
from lrctl.contracts.strategy import Work
from lrctl_strategies.grids import rounded
from lrctl_strategies.shape.space import Space
from lrctl_strategies.shape.trials import Trials


@dataclass(frozen=True)
class SweepPoint:
    """A shape with another value of one parameter, and by how much its loss is lower or higher than the winner's.

    `interval` is the 95 % t interval of that difference over the seeds, if there are at least two and no run diverged;
    `p` its p value, after Holm's correction over all points.
    """

    value: float
    base_lr: float
    loss: float
    difference: float
    interval: tuple[float, float] | None
    p: float | None
    better: bool


@dataclass(frozen=True)
class Sweep:
    """A parameter of the winning shape: its own value, and the points around it."""

    parameter: str
    value: float
    loss: float
    points: tuple[SweepPoint, ...]


def sweep(
    trials: Trials, space: Space, winner: Any, base_lr: float, points: int, seeds: Sequence[int]
) -> Work[list[Sweep]]:
    """Vary each searched parameter over its range, with the base LR tuned anew for each value, and for the winner."""
    swept = {name: each for name in space.free if (each := space.swept(winner, name, points))}
    every = [winner, *(shape for each in swept.values() for shape in each)]
    yield from trials.measure("sweeps around the best shape", every, near(trials, base_lr), seeds)
    yield from trials.extend(every, seeds)
    compared = [(name, shape) for name, each in swept.items() for shape in each]
    differences = [of_seeds(trials, shape, winner, seeds) for _, shape in compared]
    by_name: dict[str, list[SweepPoint]] = {name: [] for name in swept}
    for (name, shape), (mean, interval, _, p) in zip(compared, paired_tests(differences), strict=True):
        score, better = trials.score(shape, seeds), verdict(mean, p, len(seeds)) == "better"
        by_name[name].append(SweepPoint(getattr(shape, name), score.base_lr, score.loss, mean, interval, p, better))
    loss = trials.score(winner, seeds).loss
    return [Sweep(name, getattr(winner, name), loss, tuple(each)) for name, each in by_name.items()]


def near(trials: Trials, base_lr: float) -> list[float]:
    """A base LR, and one step of the grid to either side."""
    factor = (trials.grid[-1] / trials.grid[0]) ** (1 / (len(trials.grid) - 1))
    return [rounded(base_lr / factor), base_lr, rounded(base_lr * factor)]


def of_seeds(trials: Trials, shape: Any, winner: Any, seeds: Sequence[int]) -> list[float]:
    """A shape's loss minus the winner's for each seed, both at their best base LRs; +inf where one diverged."""
    ours, theirs = (trials.losses[each][trials.score(each, seeds).base_lr] for each in (shape, winner))
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    return [each if math.isfinite(each) else math.inf for each in differences]
