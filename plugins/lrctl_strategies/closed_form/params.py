"""Parameters of fitting closed forms to a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.strategy import GivenSchedule
from lrctl_strategies.grids import GEOMETRIC, PeakGrid, Refine, check_grid, check_least
from lrctl_strategies.objective import ChosenBy, Objective, WithMaximize, objective
from lrctl_strategies.reference import WithReference

BASELINES = ("wsd", "cosine", "linear")
"""The families of the paper's Table 3."""


@dataclass(frozen=True, slots=True)
class FitClosedForm(WithReference, WithMaximize):
    source: Annotated[str, "the schedule to fit: a run's name, or a schedule.json", GivenSchedule(stretch="stretch")]
    family: Annotated[tuple[str, ...], "family to fit, all if none is named; repeatable"] = ()
    predict: Annotated[bool, "rank by a convex bound at each fit's own best base LR, without training"] = False
    gradient_norms: Annotated[bool, "train the schedule once to measure the gradient norms that --predict uses"] = False
    tune: Annotated[bool, "train the best fits with their peak LR grid-searched, beside the schedule and baselines"] = (
        False
    )
    top: Annotated[int, "how many of the best fits --tune trains, unless --family names them"] = 3
    baseline: Annotated[tuple[str, ...], "family that --tune tunes as a baseline; repeatable, '' is none"] = BASELINES
    stretch: Annotated[int, "train the schedule stretched to so many steps, its peak LR grid-searched; 0 is off"] = 0
    metric: ChosenBy = "validation"
    grid: PeakGrid = GEOMETRIC
    refine: Refine = 0

    def __post_init__(self) -> None:
        check_grid(self.grid, self.refine)
        check_least(self, top=1, stretch=0)
        objective(self.metric, self.maximize)

    @property
    def objective(self) -> Objective:
        return objective(self.metric, self.maximize)
