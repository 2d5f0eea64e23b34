"""Reduce on plateau: the LR falls when the loss has stopped improving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from lrctl_schedules.by_metric import Bounds, ByMetric, Mode, ThresholdMode
from lrctl_schedules.parameters import Count, NonNegative, PerGroup, per_group


@dataclass(frozen=True, slots=True)
class Plateau(ByMetric):
    """The LR, multiplied by a factor whenever the metric has not improved for a while.

    After more than `patience` metrics in a row that are not better than the best so far by more than `threshold`, the
    LR becomes LR `factor`, at least `min_lr`; the next `cooldown` metrics do not count as bad. It never rises: GreedyLR
    of the variant `authors` without its other half. A metric that is not finite is bad.

    >>> from lrctl.contracts.schedule import Observation
    >>> schedule = Plateau(initial_lr=0.5, patience=1)
    >>> state = schedule.init()
    >>> for step, loss in enumerate((3.0, 2.0, 2.0, 2.0)):
    ...     state = schedule.update(state, Observation(step, schedule(step, state), loss))
    >>> schedule(4, state)
    0.05

    Raises:
        ValueError: a parameter is out of its range.

    Warns:
        UserWarning: `min_lr` is above the initial LR, which can therefore never fall.

    Source: `ReduceLROnPlateau` of torch, whose defaults these are.
    """

    mode: Annotated[Mode, "whether a lower (min) or a higher (max) metric is better"] = "min"
    factor: Annotated[NonNegative, "what the LR is multiplied by"] = 0.1
    patience: Annotated[Count, "how many bad metrics in a row are waited for before one more lowers the LR"] = 10
    threshold: Annotated[NonNegative, "by how much a metric must be better than the best"] = 1e-4
    threshold_mode: Annotated[ThresholdMode, "whether the threshold is absolute or a share of the best"] = "rel"
    cooldown: Annotated[Count, "metrics that do not count as bad after the LR fell"] = 0
    min_lr: Annotated[PerGroup, "lower bound of the LR"] = 0.0
    eps: Annotated[NonNegative, "a change of the LR that is not greater is not made"] = 1e-8

    variant: ClassVar[str] = "authors"
    smooth: ClassVar[bool] = False
    warmup: ClassVar[int] = 0
    reset_start: ClassVar[int | None] = None

    @property
    def bounds(self) -> Bounds:
        """The bounds of the LR of each param group; 0 above: it never rises."""
        first = per_group(self.initial_lr)
        return Bounds(first, per_group(self.min_lr, len(first)), [0.0] * len(first))
