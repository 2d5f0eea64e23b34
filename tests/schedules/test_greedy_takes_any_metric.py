"""A metric that is not finite counts as bad, and leaves no other trace."""

from __future__ import annotations

import itertools
import math
from random import Random
from typing import Any

import pytest

from cases import case
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.plateau import Plateau
from schedules.streams import metrics, states

BAD = (math.nan, math.inf, -math.inf)
MODES = pytest.mark.parametrize("mode", ["min", "max"])
VARIANTS = pytest.mark.parametrize("variant", ["hf", "authors", "paper"])
PLACES = {"first": (0,), "alone": (20,), "a run": (20, 21, 22, 23, 24, 25), "first of all, and later": (0, 1, 2, 9, 30)}


@MODES
@VARIANTS
def test_it_counts_as_bad_and_moves_neither_best_nor_mean(variant: Any, mode: Any) -> None:
    for bad, smooth, places in itertools.product(BAD, (True, False), PLACES.values()):
        with case(bad=bad, smooth=smooth, places=places):
            counts_as_bad(variant, mode, smooth, places, bad)


def counts_as_bad(variant: Any, mode: Any, smooth: bool, places: tuple[int, ...], bad: float) -> None:
    schedule = Greedy(0.1, variant, mode, patience=1000, smooth=smooth, window_size=4)
    finite = metrics(Random(1), 40)
    stream = list(finite)
    for place in places:
        stream.insert(place, bad)
    found = states(schedule, stream)
    for place in places:
        before, after = found[place - 1] if place else schedule.init(), found[place]
        kept = {name: before[name] for name in ("best", "window", "sum", "lrs")}
        assert {name: after[name] for name in kept} == kept
        assert after["num_bad_epochs"] == before["num_bad_epochs"] + 1
        assert after["num_good_epochs"] == 0
    without = states(schedule, finite)[-1]
    assert [found[-1][name] for name in ("best", "window", "sum")] == [
        without[name] for name in ("best", "window", "sum")
    ]
    if smooth:
        assert found[-1]["sum"] / 4 == pytest.approx(math.fsum(finite[-4:]) / 4)


@MODES
@VARIANTS
def test_a_run_of_them_lowers_the_lr_to_its_bound_and_no_further(variant: Any, mode: Any) -> None:
    for bad, smooth in itertools.product(BAD, (True, False)):
        schedule = Greedy(0.4, variant, mode, 0.5, 1, smooth=smooth, reset_start=None)
        with case(bad=bad, smooth=smooth):
            found = states(schedule, [bad] * 40)
            assert found[-1]["lrs"] == [0.4 * 0.1]
            assert found[-1]["best"] is None
            assert found[0]["lrs"] == [0.4]


@MODES
def test_plateau_does_the_same(mode: Any) -> None:
    for bad in BAD:
        with case(bad=bad):
            found = states(Plateau(0.4, mode, patience=1), [bad, 3.0, bad, bad, 2.0 if mode == "min" else 4.0])
            assert [state["best"] for state in found[:4]] == [None, 3.0, 3.0, 3.0]
            assert [state["lrs"][0] for state in found] == [0.4, 0.4, 0.4, 0.4 * 0.1, 0.4 * 0.1]


HUGE = 1.7e308
OVERFLOWS = {
    "up": ([HUGE, HUGE], 1),
    "down": ([-HUGE, -HUGE], 1),
    "when the oldest leaves": ([-HUGE, HUGE, HUGE, 1.0], 3),
}


@VARIANTS
@MODES
@pytest.mark.parametrize(("stream", "at"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_sum_that_overflows_begins_again(variant: Any, mode: Any, stream: list[float], at: int) -> None:
    schedule = Greedy(0.1, variant, mode, patience=1000, window_size=3)
    tail = [1.0, 2.0, 3.0, 4.0]
    found = states(schedule, stream + tail)
    assert (found[at]["window"], found[at]["sum"], found[at]["best"]) == ([], 0.0, found[at - 1]["best"])
    assert found[at]["num_good_epochs"] == 0
    assert (found[-1]["window"], found[-1]["sum"]) == ([2.0, 3.0, 4.0], 9.0)


@VARIANTS
@pytest.mark.parametrize("threshold_mode", ["abs", "rel"])
def test_extreme_metrics_without_smoothing_keep_the_state_finite(variant: Any, threshold_mode: Any) -> None:
    schedule = Greedy(0.1, variant, patience=0, smooth=False, threshold=0.5, threshold_mode=threshold_mode)
    for metric in (HUGE, -HUGE, 5e-324, 0.0, -0.0):
        with case(metric=metric):
            found = states(schedule, [metric, 1.0, metric, -metric, metric])
            assert all(0.01 <= lr <= 1.0 for state in found for lr in state["lrs"])
            assert found[0]["best"] == metric
