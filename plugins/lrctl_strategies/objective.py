"""What runs are chosen by: the validation loss, the training loss, or a metric of the workload's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, Work
from lrctl.errors import unknown

LOSSES = {"validation": "validation loss", "train": "training loss"}
"""What is always there to choose by, in words."""

ChosenBy = Annotated[
    str,
    "what choices are made by: validation (the loss), train (the smoothed training loss), or a metric of the "
    "workload's own on validation data, with --maximize or --no-maximize",
]


@dataclass(frozen=True, kw_only=True)
class WithMaximize:
    """The parameter that says which way a metric is better.

    Nothing is guessed from a metric's name: a search for the worst accuracy would look like any other.
    """

    maximize: Annotated[
        bool | None,
        "of a --metric of the workload's own: more of it is better, as of an accuracy; with --no-maximize, less",
    ] = None


@dataclass(frozen=True, slots=True)
class Objective:
    """What is made as low as it can be: a loss or, with the sign turned where more of it is better, a metric."""

    metric: str
    maximize: bool = False

    @property
    def words(self) -> str:
        return LOSSES.get(self.metric, f"validation {self.metric}")

    def value(self, metrics: Mapping[str, Mapping[str, float]]) -> float:
        """The metric among those of `evaluate`, turned so that less is better; +inf if it is not finite.

        Raises:
            UsageError: the workload has no metric of this name.
        """
        found = metrics["validation"]
        try:
            value = found[self.metric]
        except KeyError:
            raise unknown("metric", self.metric, found, f"--metric {self.metric}") from None
        return self.turned(value) if math.isfinite(value) else math.inf

    def turned(self, value: float) -> float:
        """A value of the metric as something of which less is better, and back."""
        return -value if self.maximize else value


def objective(metric: str, maximize: bool | None, losses: Mapping[str, str] = LOSSES) -> Objective:
    """The objective that is asked for; `losses` are the names that stand for a loss.

    Raises:
        ValueError: it is not said, or for no metric, whether more is better.
    """
    if metric in losses and maximize is not None:
        raise ValueError(f"maximize: less of a loss is better; leave it out, or name another --metric than {metric}")
    if metric not in losses and maximize is None:
        raise ValueError(
            f"metric: {metric} is not {' or '.join(losses)}; of a metric of the workload's own say with --maximize "
            "that more is better, or with --no-maximize that less is"
        )
    return Objective(metric, bool(maximize))


def check_metric(objective: Objective) -> Work[None]:
    """Evaluate the untrained model by a metric of the workload's own: that it has none shows before the grid.

    Raises:
        UsageError: the workload has no metric of this name.
    """
    if objective.metric in LOSSES:
        return
    untrained = SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),)), evaluate=("validation",), checkpoint=False)
    (result,) = yield Batch("the model before any training", [untrained], judge=False)
    objective.value(result.metrics)
