"""What parts are tried with."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Annotated, Any

from lrctl import testing
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult

SPEC = replace(
    testing.SPEC,
    workload="linear-regression",
    workload_params={"dim": 2, "batch_size": 4, "noise": 0.1},
    optimizer=AdamW(),
)
JOBS = [SegmentJob(0, 3, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2)]

count = itertools.count()


@dataclass(frozen=True)
class Params:
    lr: Annotated[float, "the LR of every step"] = 0.1


def flat(params: Any, run: RunSpec) -> Search:
    """A sound one: two halves at one LR."""
    schedule = PiecewiseLinear(((0, params.lr),))
    half = run.steps // 2
    (first,) = yield Batch("half", [SegmentJob(0, half, schedule)])
    (second,) = yield Batch("all", [SegmentJob(half, run.steps, schedule, first.key)])
    return SearchResult(schedule, second.key)
