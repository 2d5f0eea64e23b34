"""GreedyLR: the LR rises while the loss improves and falls while it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_schedules.by_metric import Bounds, ByMetric, Mode, ThresholdMode
from lrctl_schedules.parameters import Count, NonNegative, PerGroup, Range, per_group

Variant = Literal["hf", "authors", "paper"]


@dataclass(frozen=True, slots=True)
class Greedy(ByMetric):
    """GreedyLR, zeroth order: it looks at the loss alone.

    With F = `factor` and P = `patience`: a metric is good if it is better than the best one so far by more than
    `threshold`, else bad. After more than P good ones in a row the LR becomes LR / F, after more than P bad ones LR F,
    within its bounds. With `smooth` the metric is the mean of the last `window_size` ones.

    - `hf`, the class of Hugging Face transformers 5.23: after a rise (fall) the next `warmup` (`cooldown`) metrics are
      not looked at. Each fall that finds all LRs at their lower bound counts; the `reset_start`-th puts everything back
      to the start, LR included. A rise makes the count begin again.
    - `authors`, the first author's class of 2023: the best metric moves during cooldown and warmup too; a cooldown
      masks only bad metrics, a warmup only good ones. After `reset_start` steps on which all groups had the same LR,
      the best metric and the counters are put back to the start, and the LR stays. Equal to `hf` without cooldown,
      warmup and resets.
    - `paper`, Algorithm 1 to the letter, for study: cooldown and warmup are counters that run in cycles whatever the LR
      does, so that with a patience of 1 or more any cooldown forbids every rise and any warmup every fall; counters are
      not cleared after a change, so that a smooth descent raises the LR at every step; once `reset_start` steps have
      passed, the LR is pinned to its initial value for ever.

    A metric that is not finite is bad, and enters neither the mean nor the best: one NaN changes nothing for long. (In
    transformers it stays in the running sum for ever.) On a noisy loss without smoothing the LR practically never
    rises; with smoothing it rises until its upper bound stops it, which makes `max_lr` the parameter that matters. A
    relative threshold is meant for positive metrics: of a negative best, a share below it lies above it.

    >>> from lrctl.contracts.schedule import Observation
    >>> schedule = Greedy(initial_lr=0.1, patience=1, factor=0.5, smooth=False)
    >>> state = schedule.init()
    >>> for step, loss in enumerate((3.0, 2.0, 2.0, 2.0)):
    ...     state = schedule.update(state, Observation(step, schedule(step, state), loss))
    ...     print(schedule(step + 1, state))
    0.1
    0.2
    0.2
    0.1

    Raises:
        ValueError: a parameter is out of its range.

    Warns:
        UserWarning: the bounds exclude the initial LR, so that it can move one way only.

    Source: Subramanian & Ganapathiraman, Zeroth Order GreedyLR, section II and Algorithm 1.
    """

    variant: Annotated[Variant, "hf as in transformers, authors as in the authors' code, paper to the letter"] = "hf"
    mode: Annotated[Mode, "whether a lower (min) or a higher (max) metric is better"] = "min"
    factor: Annotated[NonNegative, "what the LR is multiplied by when it falls, and divided by when it rises"] = 0.95
    patience: Annotated[
        Count, "how many good or bad metrics in a row are waited for before one more changes the LR"
    ] = 10
    threshold: Annotated[NonNegative, "by how much a metric must be better than the best"] = 1e-6
    threshold_mode: Annotated[ThresholdMode, "whether the threshold is absolute or a share of the best"] = "abs"
    cooldown: Annotated[Count, "metrics that are not looked at after the LR fell"] = 0
    warmup: Annotated[Count, "metrics that are not looked at after the LR rose"] = 0
    min_lr: Annotated[PerGroup | None, "lower bound of the LR, instead of the relative one"] = None
    max_lr: Annotated[PerGroup | None, "upper bound of the LR, instead of the relative one; 0: it never rises"] = None
    relative_min_lr: Annotated[NonNegative, "lower bound of the LR, as a share of the initial one"] = 0.1
    relative_max_lr: Annotated[NonNegative, "upper bound of the LR, as a multiple of the initial one"] = 10.0
    eps: Annotated[NonNegative, "a change of the LR that is not greater is not made"] = 0.0
    smooth: Annotated[bool, "whether the metric is a mean of the last ones"] = True
    window_size: Annotated[int, "how many metrics the mean is of", Range(1)] = 50
    reset_start: Annotated[int | None, "when everything is put back to the start; none: never", Range(0)] = 500

    @property
    def bounds(self) -> Bounds:
        first = per_group(self.initial_lr)
        low, high = ([share * lr for lr in first] for share in (self.relative_min_lr, self.relative_max_lr))
        return Bounds(
            first,
            low if self.min_lr is None else per_group(self.min_lr, len(first)),
            high if self.max_lr is None else per_group(self.max_lr, len(first)),
        )
