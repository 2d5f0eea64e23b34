"""What GreedyLR and reduce-on-plateau share: their LRs change after a number of good or bad metrics."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lrctl.contracts.schedule import Scope
from lrctl_schedules.checks import check_lrs
from lrctl_schedules.parameters import PerGroup, per_group

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


@dataclass(frozen=True, slots=True)
class ByMetric:
    """A schedule that keeps its LRs in the state as `lrs`: one for all parameters, or one for each param group."""

    initial_lr: Annotated[PerGroup, "the LR to start from; a list is one for each param group"]

    @property
    def scope(self) -> Scope:
        return "group" if isinstance(self.initial_lr, tuple) else "global"

    def __call__(self, _step: int, state: Any) -> Any:
        return tuple(state["lrs"]) if self.scope == "group" else state["lrs"][0]


def check_metric_settings(schedule: Any) -> None:
    """Refuse settings that metrics and LRs cannot have together; warn of bounds that exclude the initial LR."""
    check_lrs("initial_lr", schedule.initial_lr)
    if not 0 < schedule.factor < 1:
        raise ValueError(f"factor: must be greater than 0 and less than 1, got {schedule.factor!r}")
    if schedule.threshold_mode == "rel" and schedule.threshold >= 1:
        raise ValueError(f"threshold: must be less than 1 with threshold_mode 'rel', got {schedule.threshold!r}")
    for name in ("min_lr", "max_lr"):
        bound = getattr(schedule, name, None)
        if bound is not None:
            check_lrs(name, bound)
            if isinstance(bound, tuple) and len(bound) != len(per_group(schedule.initial_lr)):
                raise ValueError(f"{name}: must hold as many LRs as initial_lr does, got {len(bound)}")
    for lr, low, high in zip(*schedule.bounds, strict=True):
        if low > high > 0:
            raise ValueError(f"min_lr: must be at most max_lr, by param group, got {low:g} and {high:g} for LR {lr:g}")
        wrong = f"min_lr, {low:g}, is above" if low > lr else f"max_lr, {high:g}, is below" if 0 < high < lr else None
        if wrong:
            way = "fall" if low > lr else "rise"
            warnings.warn(
                f"{type(schedule).__name__}: {wrong} the initial LR, {lr:g}, which can therefore never {way}",
                stacklevel=4,  # where the schedule is made
            )
