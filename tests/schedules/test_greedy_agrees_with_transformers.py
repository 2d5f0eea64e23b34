"""The variant `hf` of GreedyLR is the class of transformers, step by step."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import pytest
from transformers.optimization import GreedyLR as Theirs

from lrctl.contracts.schedule import Observation
from lrctl.errors import UsageError
from lrctl.lr_scheduler import GreedyLR
from lrctl_schedules.greedy import Greedy
from schedules.streams import metrics, optimizer_of

STEPS = 80
DEFAULTS: dict[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(Theirs.__init__).parameters.items()
    if name not in ("self", "optimizer", "verbose")
}
OURS = {"min_lr": None, "max_lr": None, "smooth": True, "eps": 0.0}
"""Defaults that are others than theirs, on purpose."""


@dataclass(frozen=True)
class Case:
    """Settings, a stream of metrics, and the step at which both are saved."""

    lrs: tuple[float, ...]
    settings: dict[str, Any]
    stream: list[float]
    cut: int


def case(random: Random) -> Case:
    """A case drawn at random, often one with ties and small counters."""
    pick = random.choice
    lrs = tuple(10 ** random.uniform(-6, 0) for _ in range(pick([1, 1, 2, 3])))
    bounds = {
        "min_lr": pick([0.0, 1e-3, 1e-5, [lr * random.uniform(0.1, 2) for lr in lrs]]),
        "max_lr": pick([0.0, 1.0, 1e-2, [lr * random.uniform(0.5, 10) for lr in lrs]]),
    }
    low, high = (each if isinstance(each, list) else [each] * len(lrs) for each in bounds.values())
    if any(least > most > 0 for least, most in zip(low, high, strict=True)):
        bounds["min_lr"] = 0.0
    settings = {
        "mode": pick(["min", "max"]),
        "factor": pick([0.95, 0.5, 0.9, 0.1, 0.99]),
        "patience": pick([0, 1, 2, 3, 10]),
        "threshold": pick([0.0, 1e-6, 1e-3, 0.125]),
        "threshold_mode": pick(["abs", "rel"]),
        "cooldown": pick([0, 0, 1, 3]),
        "warmup": pick([0, 0, 1, 5]),
        "eps": pick([0.0, 1e-8, 1e-4]),
        "smooth": pick([True, False]),
        "window_size": pick([1, 2, 5, 50]),
        "reset_start": pick([0, 1, 2, 5, 500]),
        **bounds,
    }
    return Case(lrs, settings, metrics(random, STEPS), random.randrange(STEPS))


def theirs_of(lrs: tuple[float, ...], settings: dict[str, Any]) -> Any:
    return Theirs(optimizer_of(*lrs), **settings)


def known(scheduler: Any) -> tuple[Any, ...]:
    """All that decides what a scheduler does next, and the LRs it has set."""
    set_by_it = [group["lr"] for group in scheduler.optimizer.param_groups]
    assert scheduler.get_last_lr() == set_by_it
    if isinstance(scheduler, GreedyLR):
        memory = scheduler.control.memory
        best, rest = memory["best"], (memory["reset_counter"], memory["window"], memory["sum"])
        counters = [memory[name] for name in COUNTERS]
    else:
        average = scheduler._streaming_avg
        best = scheduler.best if math.isfinite(scheduler.best) else None
        rest = (scheduler.reset_start, *((average.values, average.sum) if average else ([], 0.0)))
        counters = [getattr(scheduler, name) for name in COUNTERS]
    return set_by_it, best, *counters, *rest


COUNTERS = ("num_good_epochs", "num_bad_epochs", "cooldown_counter", "warmup_counter")


@pytest.mark.filterwarnings("ignore:.*which can therefore never")
@pytest.mark.parametrize("seed", range(20))
def test_every_step_agrees_and_so_does_what_follows_a_restore(seed: int) -> None:
    random = Random(seed)
    for _ in range(50):
        given = case(random)
        theirs, ours = theirs_of(given.lrs, given.settings), GreedyLR(optimizer_of(*given.lrs), **given.settings)
        following: list[Any] = [ours]
        for step, metric in enumerate(given.stream):
            if step == given.cut:
                following += restored(ours, theirs, len(given.lrs))
            theirs.step(metric)
            for each in following:
                each.step(metric)
                assert known(each) == known(theirs), (given, step)
        assert following[1].state_dict() == ours.state_dict()
        assert following[2].last_epoch == ours.last_epoch == STEPS


def restored(ours: GreedyLR, theirs: Any, groups: int) -> list[GreedyLR]:
    """Two new schedulers on new optimizers: from our state through JSON, and from theirs."""
    saved = [json.dumps(ours.state_dict(), allow_nan=False), json.dumps(theirs.state_dict())]
    again = []
    for state in saved:
        again.append(GreedyLR(optimizer_of(*[0.7] * groups)))
        again[-1].load_state_dict(json.loads(state))
        assert known(again[-1]) == known(theirs)
    return again


# Ties


@pytest.mark.parametrize(
    ("eps", "fallen", "risen"),
    [(0.25, 0.5, 0.25), (math.nextafter(0.25, 0.0), 0.25, 0.5), (math.nextafter(0.25, 1.0), 0.5, 0.25)],
    ids=["equal to eps", "greater", "less"],
)
def test_a_change_equal_to_eps_is_not_made(eps: float, fallen: float, risen: float) -> None:
    settings: dict[str, Any] = {"patience": 0, "factor": 0.5, "eps": eps, "min_lr": 0.0, "max_lr": 1.0, "smooth": False}
    for lr, stream, expected in ((0.5, [math.inf], fallen), (0.25, [1.0], risen)):
        ours, theirs = GreedyLR(optimizer_of(lr), **settings), theirs_of((lr,), settings)
        for metric in stream:
            ours.step(metric)
            theirs.step(metric)
        assert ours.get_last_lr() == theirs.get_last_lr() == [expected]


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "best", "limit"),
    [("min", "abs", 1.0, 0.75), ("min", "rel", 2.0, 1.5), ("max", "abs", 1.0, 1.25), ("max", "rel", 2.0, 2.5)],
)
def test_a_metric_better_by_the_threshold_exactly_is_bad(
    mode: str, threshold_mode: str, best: float, limit: float
) -> None:
    settings: dict[str, Any] = {"mode": mode, "threshold": 0.25, "threshold_mode": threshold_mode, "smooth": False}
    beyond = math.nextafter(limit, -math.inf if mode == "min" else math.inf)
    for metric, good in ((limit, 0), (beyond, 2)):
        ours, theirs = GreedyLR(optimizer_of(0.1), **settings), theirs_of((0.1,), settings)
        for each in (best, metric):
            ours.step(each)
            theirs.step(each)
        assert ours.control.memory["num_good_epochs"] == theirs.num_good_epochs == good
        assert ours.control.memory["best"] == theirs.best == (metric if good else best)


@pytest.mark.parametrize("max_lr", [0.125, 1.0], ids=["cannot rise", "rises"])
def test_a_rise_fills_the_reset_counter_up_again_even_where_the_lr_cannot_rise(max_lr: float) -> None:
    settings: dict[str, Any] = {"patience": 0, "factor": 0.5, "min_lr": 0.125, "max_lr": max_lr}
    settings |= {"reset_start": 3, "smooth": False}
    ours, theirs, counted = GreedyLR(optimizer_of(0.125), **settings), theirs_of((0.125,), settings), []
    for metric in (5.0, 6.0, 6.0, 4.0, 6.0, 6.0, 6.0, 6.0):
        ours.step(metric)
        theirs.step(metric)
        assert known(ours) == known(theirs)
        counted.append(ours.control.memory["reset_counter"])
    assert counted == [3, 2, 1, 3, 2, 1, 3, 3]  # the last but one resets, so the last is good


def test_a_long_running_mean_drifts_alike() -> None:
    random, size = Random(0), 50
    schedule = Greedy(0.1, "hf", reset_start=10**9, min_lr=0.0, max_lr=1.0, window_size=size)
    theirs = theirs_of((0.1,), {"min_lr": 0.0, "eps": 0.0, "smooth": True, "reset_start": 10**9})
    state = schedule.init()
    for step in range(100_000):
        metric = random.lognormvariate(0.0, 2.0)
        theirs.step(metric)
        state = schedule.update(state, Observation(step, 0.0, metric))
        assert schedule(step, state) == theirs.get_last_lr()[0]
    assert state["sum"] == theirs._streaming_avg.sum
    assert state["sum"] != math.fsum(state["window"])


# Defaults


def test_defaults_are_theirs_but_for_those_that_are_documented() -> None:
    ours = {field.name: field.default for field in fields(Greedy) if field.name in DEFAULTS}
    assert ours == DEFAULTS | OURS


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("lr", [5e-5, 0.01, 2.0])
@pytest.mark.filterwarnings("ignore:.*which can therefore never")
def test_their_defaults_agree_in_both_modes(mode: str, lr: float) -> None:
    for seed in range(5):
        ours = GreedyLR(optimizer_of(lr), **DEFAULTS | {"mode": mode})
        theirs = Theirs(optimizer_of(lr), mode)
        for metric in metrics(Random(seed), 200):
            ours.step(metric)
            theirs.step(metric)
            assert known(ours) == known(theirs)


# States of theirs that are no good


def test_a_mean_that_nan_has_poisoned_is_mended_on_loading() -> None:
    theirs = theirs_of((0.1,), {"smooth": True, "window_size": 4})
    for metric in (1.0, math.nan, 2.0):
        theirs.step(metric)
    ours = GreedyLR(optimizer_of(0.1))
    ours.load_state_dict(theirs.state_dict())
    ours.step(3.0)
    assert (ours.control.memory["window"], ours.control.memory["sum"]) == ([1.0, 2.0, 3.0], 6.0)


def test_what_is_no_state_of_a_greedy_lr_is_refused() -> None:
    state = theirs_of((0.1,), {}).state_dict()
    del state["_init_lrs"]
    with pytest.raises(UsageError, match=r"^GreedyLR: this is no state_dict of a GreedyLR: '_init_lrs' is missing$"):
        GreedyLR(optimizer_of(0.1)).load_state_dict(state)


def test_a_state_of_other_param_groups_is_refused() -> None:
    state = theirs_of((0.1, 0.2), {}).state_dict()
    with pytest.raises(UsageError, match=r"^GreedyLR: the state is of 2 param groups, the optimizer has 1$"):
        GreedyLR(optimizer_of(0.1)).load_state_dict(state)
