"""GreedyLR: the LR rises while the loss improves and falls while it does not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lrctl.contracts.schedule import Observation, Scope
from lrctl_schedules.greedy_variants import Bounds, authors, hf, paper, smoothed, start
from lrctl_schedules.parameters import LARGEST, check_choice, check_lrs, check_number, check_whole

Variant = Literal["hf", "authors", "paper"]
Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]
PerGroup = float | tuple[float, ...]
InitialLr = Annotated[PerGroup, "the LR to start from; a list is one for each param group"]

VARIANTS = {"hf": hf, "authors": authors, "paper": paper}


@dataclass(frozen=True, slots=True)
class Greedy:
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

    initial_lr: InitialLr
    variant: Annotated[Variant, "hf as in transformers, authors as in the authors' code, paper to the letter"] = "hf"
    mode: Annotated[Mode, "whether a lower (min) or a higher (max) metric is better"] = "min"
    factor: Annotated[float, "what the LR is multiplied by when it falls, and divided by when it rises"] = 0.95
    patience: Annotated[int, "how many good or bad metrics in a row are waited for before one more changes the LR"] = 10
    threshold: Annotated[float, "by how much a metric must be better than the best"] = 1e-6
    threshold_mode: Annotated[ThresholdMode, "whether the threshold is absolute or a share of the best"] = "abs"
    cooldown: Annotated[int, "metrics that are not looked at after the LR fell"] = 0
    warmup: Annotated[int, "metrics that are not looked at after the LR rose"] = 0
    min_lr: Annotated[PerGroup | None, "lower bound of the LR, instead of the relative one"] = None
    max_lr: Annotated[PerGroup | None, "upper bound of the LR, instead of the relative one; 0: it never rises"] = None
    relative_min_lr: Annotated[float, "lower bound of the LR, as a share of the initial one"] = 0.1
    relative_max_lr: Annotated[float, "upper bound of the LR, as a multiple of the initial one"] = 10.0
    eps: Annotated[float, "a change of the LR that is not greater is not made"] = 0.0
    smooth: Annotated[bool, "whether the metric is a mean of the last ones"] = True
    window_size: Annotated[int, "how many metrics the mean is of"] = 50
    reset_start: Annotated[int | None, "when everything is put back to the start, see above; none: never"] = 500

    def __post_init__(self) -> None:
        check_metrics(self)
        check_choice("variant", self.variant, Variant)
        for name in ("cooldown", "warmup"):
            check_whole(name, getattr(self, name), 0, 2**53)
        check_whole("window_size", self.window_size, 1, 2**53)
        if self.reset_start is not None:
            check_whole("reset_start", self.reset_start, 0, 2**53)
        check_number("relative_min_lr", self.relative_min_lr, 0, LARGEST)
        check_number("relative_max_lr", self.relative_max_lr, 0, LARGEST)
        if type(self.smooth) is not bool:
            raise ValueError(f"smooth: must be true or false, got {self.smooth!r}")
        check_bounds(self)

    @property
    def scope(self) -> Scope:
        """One LR for all parameters, or one for each param group."""
        return scope_of(self.initial_lr)

    @property
    def bounds(self) -> Bounds:
        """The lower and the upper bound of the LR, for each param group."""
        first = listed(self.initial_lr)
        low, high = ([share * lr for lr in first] for share in (self.relative_min_lr, self.relative_max_lr))
        return Bounds(
            first,
            low if self.min_lr is None else listed(self.min_lr, len(first)),
            high if self.max_lr is None else listed(self.max_lr, len(first)),
        )

    def init(self) -> Any:
        """The initial LRs, no best metric, and counters at 0."""
        return start(listed(self.initial_lr), self.reset_start)

    def __call__(self, _step: int, state: Any) -> Any:
        """The LR for update `step`; one for each param group if it began with such."""
        return tuple(state["lrs"]) if self.scope == "group" else state["lrs"][0]

    def update(self, state: Any, seen: Observation) -> Any:
        """The state after a metric."""
        after = {**state, "lrs": list(state["lrs"])}
        metric = smoothed(after, seen.loss, self.window_size) if self.smooth else seen.loss
        VARIANTS[self.variant](self, after, metric)
        return after


def scope_of(initial_lr: PerGroup) -> Scope:
    """One LR for each param group if it began with such, else one for all parameters."""
    return "group" if isinstance(initial_lr, tuple) else "global"


def listed(value: PerGroup, groups: int = 1) -> list[float]:
    """A value for each param group."""
    return [float(each) for each in value] if isinstance(value, tuple) else [float(value)] * groups


def check_metrics(schedule: Any) -> None:
    """Refuse what cannot be made of a metric or an LR; for all schedules that wait for a metric.

    Raises:
        ValueError: names the parameter.
    """
    check_lrs("initial_lr", schedule.initial_lr)
    check_choice("mode", schedule.mode, Mode)
    check_choice("threshold_mode", schedule.threshold_mode, ThresholdMode)
    check_number("factor", schedule.factor, 0, LARGEST)
    if not 0 < schedule.factor < 1:
        raise ValueError(f"factor: must be greater than 0 and less than 1, got {schedule.factor!r}")
    check_whole("patience", schedule.patience, 0, 2**53)
    check_number("threshold", schedule.threshold, 0, LARGEST)
    if schedule.threshold_mode == "rel" and schedule.threshold >= 1:
        raise ValueError(f"threshold: must be less than 1 with threshold_mode 'rel', got {schedule.threshold!r}")
    check_number("eps", schedule.eps, 0, LARGEST)
    for name in ("min_lr", "max_lr"):
        bound = getattr(schedule, name, None)
        if bound is not None:
            check_lrs(name, bound)
            if isinstance(bound, tuple) and len(bound) != len(listed(schedule.initial_lr)):
                raise ValueError(f"{name}: must hold as many LRs as initial_lr does, got {len(bound)}")


def check_bounds(schedule: Any) -> None:
    """Refuse bounds that exclude every LR, and warn of those that exclude the initial one.

    Raises:
        ValueError: a lower bound is above its upper bound.
    """
    for lr, low, high in zip(*schedule.bounds, strict=True):
        if low > high > 0:
            raise ValueError(f"min_lr: must be at most max_lr, by param group, got {low:g} and {high:g} for LR {lr:g}")
        wrong = f"min_lr, {low:g}, is above" if low > lr else f"max_lr, {high:g}, is below" if 0 < high < lr else None
        if wrong:
            way = "fall" if low > lr else "rise"
            warnings.warn(
                f"{type(schedule).__name__}: {wrong} the initial LR, {lr:g}, which can therefore never {way}",
                stacklevel=4,
            )
