"""Parameters of the search for the best shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_strategies.grids import GEOMETRIC, Metric, PeakGrid, check_grid, check_least
from lrctl_strategies.shape import samplers
from lrctl_strategies.shape.settings import axis

FAMILIES = (
    "constant-with-warmup",
    "cosine",
    "generalized-cosine",
    "square-root",
    "rex",
    "two-point-linear",
    "two-point-spline",
    "smooth-non-monotonic",
)
"""The families of the paper."""


@dataclass(frozen=True, slots=True)
class ShapeSearch:
    family: Annotated[
        tuple[str, ...], "family to draw shapes from, or one with settings, as in cosine:end=? (searched); repeatable"
    ] = FAMILIES
    against: Annotated[
        tuple[str, ...], "family to compare with: all shapes on the grids that baseline tunes it on; repeatable"
    ] = ("wsd", "cosine")
    shapes: Annotated[int, "shapes drawn from each family"] = 20
    grid: PeakGrid = GEOMETRIC
    score_seeds: Annotated[
        int, "seeds that each shape is scored with, by the median: the recipe's and those after it"
    ] = 3
    top: Annotated[int, "how many shapes of each family are trained again with fresh seeds"] = 3
    fresh_seeds: Annotated[int, "how many fresh seeds"] = 5
    sweep: Annotated[int, "values of each parameter to try around the best shape; 0 is no sweep"] = 5
    sampler: Annotated[samplers.Name, "random, or one of Optuna's: tpe, gp, cmaes, qmc"] = "random"
    draw_seed: Annotated[int, "decides which shapes are drawn"] = 0
    halving: Annotated[
        bool, "give up on bad shapes early: fewer base LRs and one seed first; never those to compare with"
    ] = False
    metric: Metric = "validation"
    vary: Annotated[
        tuple[str, ...], "repeat the search for each value: optimizer.weight_decay=0,0.1 or steps=300,600; repeatable"
    ] = ()
    weight_decay: Annotated[
        Literal["coupled", "independent"], "of each update: times the LR, or times the shape only, whatever the base LR"
    ] = "coupled"
    optimum: Annotated[bool, "where the loss of any LRs can be computed: find the best LRs of all, too"] = False

    def __post_init__(self) -> None:
        check_grid(self.grid)
        check_least(self, shapes=1, score_seeds=1, top=1, fresh_seeds=1, draw_seed=0, sweep=0)
        if self.sweep == 1:
            raise ValueError("sweep: must be 0, or at least 2 values, got 1")
        if len(set(self.grid)) < 2:
            raise ValueError(f"grid: must hold at least two base LRs, got {list(self.grid)}")
        if not self.family:
            raise ValueError("family: at least one is needed")
        for text in self.vary:
            axis(text)
