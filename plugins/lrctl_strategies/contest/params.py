"""Parameters of a contest of optimizers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_strategies.grids import check_least


@dataclass(frozen=True, slots=True)
class Contest:
    budget: Annotated[float, "full runs, scoring counted, that the contest does not go beyond"] = 8.0
    contender: Annotated[
        tuple[str, ...],
        "optimizer to try beside yours, with settings that are not its defaults: muon, 'adamw embedding=8 "
        "embedding.decay=0', 'schedule-free lr=0.01', 'mine: sgd momentum=0.9 family=cosine'; repeatable. "
        "'yours lr=0.1' is where yours begins. Default: "
        "adamw with embedding and output at 8 times the LR, muon, schedule-free, adafactor",
    ] = ()
    family: Annotated[
        str,
        "schedules that all are given, with settings; a schedule-free one rises over a quarter of the run, and holds",
    ] = "wsd:decay=0.5"
    short_run: Annotated[
        float,
        "length of the short runs, as a share of the run; longer, up to a third, where yours learns nothing in them",
    ] = 0.08
    margin: Annotated[
        float,
        "what a contender may be worse by on short runs and still be given a whole one, as a share of what the best "
        "has learned there; leads of 14 % were seen to be lost later",
    ] = 0.25
    finalists: Annotated[int, "how many contenders are given whole runs at the most, yours not counted"] = 3
    ratio: Annotated[float, "by what the LRs of whole runs are multiplied and divided where the budget has room"] = 1.5
    fresh_seeds: Annotated[int, "how many fresh seeds the best contender and yours are compared with"] = 2
    score_on: Annotated[
        Literal["training", "validation"],
        "what a run is scored by: training batches that are kept aside for it (validation loss where the workload "
        "keeps none), or validation loss",
    ] = "training"
    score_batches: Annotated[
        int,
        "how many batches of training data a score is the mean loss of; fewer where these cost more than 5 % of a run",
    ] = 64

    def __post_init__(self) -> None:
        if not self.budget > 0:
            raise ValueError(f"budget: must be greater than 0, got {self.budget}")
        check_least(self, finalists=1, fresh_seeds=1, score_batches=1)
        if not 0 < self.short_run < 1:
            raise ValueError(f"short_run: must be greater than 0 and less than 1, got {self.short_run}")
        if not self.margin >= 0:
            raise ValueError(f"margin: must be at least 0, got {self.margin}")
        if not 1 < self.ratio < math.inf:
            raise ValueError(f"ratio: must be a number greater than 1, got {self.ratio}")
