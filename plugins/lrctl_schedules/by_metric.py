"""Schedules whose LRs change after a number of good or bad metrics: their settings, and how they take a metric in.

That is a function for each variant of GreedyLR, which changes the state that it is given.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from lrctl.contracts.schedule import Observation, Scope
from lrctl_schedules.parameters import PerGroup, check_lrs, check_parameters, per_group

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]
State = dict[str, Any]


class Bounds(NamedTuple):
    """Of each param group, the initial LR and the bounds of the LR."""

    first: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True, slots=True)
class ByMetric:
    """A schedule that keeps its LRs in the state as `lrs`: one for all parameters, or one for each param group."""

    initial_lr: Annotated[PerGroup, "the LR to start from; a list is one for each param group"]

    def __post_init__(self) -> None:
        check_parameters(self)
        check_metric_settings(self)

    @property
    def scope(self) -> Scope:
        return "group" if isinstance(self.initial_lr, tuple) else "global"

    def __call__(self, _step: int, state: Any) -> Any:
        return tuple(state["lrs"]) if self.scope == "group" else state["lrs"][0]

    def init(self) -> Any:
        p: Any = self
        return {
            "lrs": per_group(self.initial_lr),
            "best": None,
            **dict.fromkeys(("num_good_epochs", "num_bad_epochs", "cooldown_counter", "warmup_counter", "epoch"), 0),
            "reset_counter": p.reset_start,
            "window": [],
            "sum": 0.0,
        }

    def update(self, state: Any, seen: Observation) -> Any:
        p: Any = self
        after = dict(state)
        metric = running_mean(after, seen.loss, p.window_size) if p.smooth else seen.loss
        VARIANTS[p.variant](p, after, metric)
        return after


def check_metric_settings(schedule: Any) -> None:
    """Refuse settings that metrics and LRs cannot have together; warn of bounds that exclude the initial LR."""
    if type(schedule.smooth) is not bool:
        raise ValueError(f"smooth: must be true or false, got {schedule.smooth!r}")
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


def running_mean(state: State, metric: float, size: int) -> float:
    """The mean of the last `size` finite metrics; a metric that is not finite stays out, and comes back as it is.

    The sum is a running one, as in transformers. If it overflows, that metric stays out too, and the mean begins again.
    """
    if not math.isfinite(metric):
        return metric
    window, total = [*state["window"], metric], state["sum"] + metric
    if len(window) > size:
        total -= window.pop(0)
    if not math.isfinite(total):
        state.update(window=[], sum=0.0)
        return math.nan
    state.update(window=window, sum=total)
    return float(total / len(window))


def hf(p: Any, state: State, metric: float) -> None:
    """The class of Hugging Face transformers 5.23."""
    if state["cooldown_counter"] > 0 or state["warmup_counter"] > 0:
        state["cooldown_counter" if state["cooldown_counter"] > 0 else "warmup_counter"] -= 1
        state["num_good_epochs"] = state["num_bad_epochs"] = 0
        return
    count_metric(p, state, metric)
    if state["num_good_epochs"] > p.patience:
        raise_lrs(p, state)
        state.update(reset_counter=p.reset_start, warmup_counter=p.warmup, num_good_epochs=0)
    elif state["num_bad_epochs"] > p.patience:
        lower_lrs(p, state)
        at_the_floor = all(lr <= low for lr, low in zip(state["lrs"], p.bounds.low, strict=True))
        if at_the_floor and reset_is_due(state):
            state.update(p.init())
        state.update(cooldown_counter=p.cooldown, num_bad_epochs=0)


def authors(p: Any, state: State, metric: float) -> None:
    """The first author's class of 2023."""
    count_metric(p, state, metric)
    for counter, masked in (("cooldown_counter", "num_bad_epochs"), ("warmup_counter", "num_good_epochs")):
        if state[counter] > 0:
            state[counter] -= 1
            state[masked] = 0
    if state["num_bad_epochs"] > p.patience:
        lower_lrs(p, state)
        state.update(cooldown_counter=p.cooldown, num_bad_epochs=0)
    if state["num_good_epochs"] > p.patience:
        raise_lrs(p, state)
        state.update(warmup_counter=p.warmup, num_good_epochs=0)
    if len(set(state["lrs"])) == 1 and reset_is_due(state):
        kept = {name: state[name] for name in ("lrs", "window", "sum")}
        state.update(p.init() | kept)


def paper(p: Any, state: State, metric: float) -> None:
    """Algorithm 1, lines 6 to 40, to the letter."""
    state["epoch"] += 1
    count_metric(p, state, metric)
    for counter, length, masked in (
        ("cooldown_counter", p.cooldown, "num_good_epochs"),
        ("warmup_counter", p.warmup, "num_bad_epochs"),
    ):
        if state[counter] < length:
            state[counter] += 1
            state[masked] = 0
        else:
            state[counter] = 0
    if state["num_good_epochs"] > p.patience:
        raise_lrs(p, state)
    if state["num_bad_epochs"] > p.patience:
        lower_lrs(p, state)
    if p.reset_start and state["epoch"] > p.reset_start:
        state.update(lrs=p.bounds.first, num_good_epochs=0, num_bad_epochs=0, window=[], sum=0.0)


VARIANTS = {"hf": hf, "authors": authors, "paper": paper}


def count_metric(p: Any, state: State, metric: float) -> None:
    """Count a metric as good or bad. Equal to the best, or better by the threshold only, is bad; so is NaN or inf."""
    if is_better(p, metric, state["best"]):
        state.update(best=metric, num_good_epochs=state["num_good_epochs"] + 1, num_bad_epochs=0)
    else:
        state.update(num_bad_epochs=state["num_bad_epochs"] + 1, num_good_epochs=0)


def is_better(p: Any, metric: float, best: float | None) -> bool:
    """Whether a metric is better than the best so far; the first finite one is."""
    if not math.isfinite(metric) or best is None:
        return math.isfinite(metric)
    sign = -1 if p.mode == "min" else 1
    limit: float = best * (1 + sign * p.threshold) if p.threshold_mode == "rel" else best + sign * p.threshold
    return sign * metric > sign * limit


def raise_lrs(p: Any, state: State) -> None:
    pairs = [(lr, min(lr / p.factor, high)) for lr, high in zip(state["lrs"], p.bounds.high, strict=True)]
    state["lrs"] = [new if new - lr > p.eps else lr for lr, new in pairs]


def lower_lrs(p: Any, state: State) -> None:
    pairs = [(lr, max(lr * p.factor, low)) for lr, low in zip(state["lrs"], p.bounds.low, strict=True)]
    state["lrs"] = [new if lr - new > p.eps else lr for lr, new in pairs]


def reset_is_due(state: State) -> bool:
    """Count down to a reset, if there is one; whether it is due."""
    if state["reset_counter"] is None:
        return False
    state["reset_counter"] -= 1
    return bool(state["reset_counter"] <= 0)
