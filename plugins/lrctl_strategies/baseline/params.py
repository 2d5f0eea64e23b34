"""Parameters of tuned baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lrctl_strategies.grids import GEOMETRIC, PeakGrid, Refine, check_grid
from lrctl_strategies.objective import ChosenBy, Objective, WithMaximize, objective
from lrctl_strategies.tuning.tuning import own_grid


@dataclass(frozen=True, slots=True)
class Baseline(WithMaximize):
    family: Annotated[tuple[str, ...], "family to tune; repeatable"] = ("wsd", "cosine", "linear")
    metric: ChosenBy = "validation"
    grid: PeakGrid = GEOMETRIC
    axis: Annotated[
        tuple[str, ...],
        "own grid of another parameter: warmup=0,0.1,0.2 or, for one family, wsd.warmup=0,0.1; repeatable",
    ] = ()
    refine: Refine = 0

    def __post_init__(self) -> None:
        if not self.family:
            raise ValueError("family: at least one is needed")
        check_grid(self.grid, self.refine)
        for text in self.axis:
            own_grid(text)
        objective(self.metric, self.maximize)

    @property
    def objective(self) -> Objective:
        return objective(self.metric, self.maximize)
