"""Parameters of lookahead search."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from lrctl_strategies.grids import check_grid, check_least
from lrctl_strategies.objective import Objective, WithMaximize, objective
from lrctl_strategies.reference import WithReference


@dataclass(frozen=True, slots=True)
class Lookahead(WithReference, WithMaximize):
    budget: Annotated[
        float, "full runs, scoring counted, that nothing but the short runs and the first rollouts goes beyond"
    ] = 8.0
    score_on: Annotated[
        Literal["training", "validation"],
        "what a rollout is scored by: training batches that are kept aside for it (validation loss where the workload "
        "keeps none), or validation loss",
    ] = "training"
    metric: Annotated[
        str, "with --score-on validation: loss, or a metric of the workload's own, with --maximize or --no-maximize"
    ] = field(default="loss", kw_only=True)
    score_batches: Annotated[
        int,
        "how many batches of training data a score is the mean loss of; fewer where these cost more than 5 % of a run",
    ] = 64
    grid: Annotated[
        tuple[float, ...], "LRs of the short runs at first; up to 12 are tried while the best is on the edge"
    ] = (1e-3, 3.33e-3, 1e-2)
    short_run: Annotated[float, "length of the short runs, as a share of the run"] = 0.15
    rise: Annotated[
        tuple[float, ...],
        "shares of the run in which the LR rises from 0; the search begins with the first, and tries the others in "
        "this order on whole runs",
    ] = (0.05, 0.0, 0.1, 0.02, 0.25)
    knot: Annotated[tuple[float, ...], "shares of the run at which the LR may turn"] = (0.4, 0.7, 0.85, 0.95)
    floor: Annotated[
        float, "the LR at the end of a run over its peak; about 0.2 where training.averaging is on, else 0 is best"
    ] = 0.0
    ratio: Annotated[
        tuple[float, ...],
        "by what LRs of whole runs are multiplied and divided, round by round; the last of them "
        "from the start where only divergence limits the LR, as on least squares",
    ] = (2.25, 1.5, 1.2)
    ratios: Annotated[
        bool,
        "try the LRs of embeddings and of the output at 4, 8 and 1/2 times that of the rest, on short runs and once on "
        "a whole one; costs about 2 more full runs",
    ] = False
    max_lr: Annotated[float | None, "no LR above this is tried"] = None

    def __post_init__(self) -> None:
        if not self.budget > 0:
            raise ValueError(f"budget: must be greater than 0, got {self.budget}")
        check_least(self, score_batches=1)
        check_grid(self.grid, max_lr=self.max_lr)
        if self.metric != "loss" and self.score_on != "validation":
            direction = ", and --maximize, or --no-maximize where less is better" if self.maximize is None else ""
            raise ValueError(f"metric: {self.metric} is of validation data; add --score-on validation{direction}")
        self.objective  # noqa: B018 - so that what is wrong with it shows now
        if not 0 < self.short_run < 1:
            raise ValueError(f"short_run: must be greater than 0 and less than 1, got {self.short_run}")
        if not self.knot or not all(0 < share < 1 for share in self.knot):
            raise ValueError(f"knot: must hold shares greater than 0 and less than 1, got {list(self.knot)}")
        if not self.rise or not all(0 <= share < min(self.knot) for share in self.rise):
            raise ValueError(f"rise: must hold shares from 0 to below the first knot, got {list(self.rise)}")
        if not self.rise[0] < self.short_run:
            raise ValueError(f"rise: the first share must be less than short_run, got {self.rise[0]}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor: must be from 0 to 1, got {self.floor}")
        if not self.ratio or not all(1 < each < math.inf for each in self.ratio):
            raise ValueError(f"ratio: must hold numbers greater than 1, got {list(self.ratio)}")

    @property
    def objective(self) -> Objective:
        return objective(self.metric, self.maximize, {"loss": "validation loss"})
