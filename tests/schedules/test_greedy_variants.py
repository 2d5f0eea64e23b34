"""The variants of GreedyLR, traced by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from lrctl_schedules.greedy import Greedy
from schedules.streams import lrs, metrics, states


def halving(variant: Any, **settings: Any) -> Greedy:
    """From LR 1, doubled or halved, without patience, threshold, smoothing, resets or near bounds."""
    given = {"patience": 0, "threshold": 0.0, "smooth": False, "reset_start": None, "min_lr": 1e-9, "max_lr": 1e9}
    return Greedy(1.0, variant, factor=0.5, **given | settings)


# Each row is a metric, and the LR, best metric, cooldown and warmup counters after it.
TRACES: dict[str, tuple[Greedy, list[tuple[float, float, float, int, int]]]] = {
    "authors, a cooldown masks only bad metrics": (
        halving("authors", cooldown=2),
        [(5, 2, 5, 0, 0), (6, 1, 5, 2, 0), (6, 1, 5, 1, 0), (4, 2, 4, 0, 0), (5, 1, 4, 2, 0)],
    ),
    "hf, a cooldown masks all, and the best metric too": (
        halving("hf", cooldown=2),
        [(5, 2, 5, 0, 0), (6, 1, 5, 2, 0), (6, 1, 5, 1, 0), (4, 1, 5, 0, 0), (5, 0.5, 5, 2, 0)],
    ),
    "authors, a warmup masks only good metrics": (
        halving("authors", warmup=2),
        [(5, 2, 5, 0, 2), (4, 2, 4, 0, 1), (6, 1, 4, 0, 0), (3, 2, 3, 0, 2)],
    ),
    "hf, a warmup masks all, and the best metric too": (
        halving("hf", warmup=2),
        [(5, 2, 5, 0, 2), (4, 2, 5, 0, 1), (6, 2, 5, 0, 0), (4, 4, 4, 0, 2)],
    ),
    "authors, both at once": (
        halving("authors", cooldown=2, warmup=2),
        [(5, 2, 5, 0, 2), (6, 1, 5, 2, 1), (6, 1, 5, 1, 0), (4, 2, 4, 0, 2), (3, 2, 3, 0, 1), (7, 1, 3, 2, 0)],
    ),
    "hf, one after the other": (
        halving("hf", cooldown=1, warmup=2),
        [(5, 2, 5, 0, 2), (6, 2, 5, 0, 1), (6, 2, 5, 0, 0), (6, 1, 5, 1, 0), (4, 1, 5, 0, 0), (4, 2, 4, 0, 2)],
    ),
    "paper, counters are not cleared after a change": (
        halving("paper", patience=1),
        [(5, 1, 5, 0, 0), (4, 2, 4, 0, 0), (3, 4, 3, 0, 0), (3, 4, 3, 0, 0), (3, 2, 3, 0, 0), (4, 1, 3, 0, 0)],
    ),
    "hf, they are": (
        halving("hf", patience=1),
        [(5, 1, 5, 0, 0), (4, 2, 4, 0, 0), (3, 2, 3, 0, 0), (2, 4, 2, 0, 0), (2, 4, 2, 0, 0), (2, 2, 2, 0, 0)],
    ),
    "paper, a cooldown of 1 takes every other rise": (
        halving("paper", cooldown=1),
        [(5, 1, 5, 1, 0), (4, 2, 4, 0, 0), (3, 2, 3, 1, 0), (2, 4, 2, 0, 0), (9, 2, 2, 1, 0), (9, 1, 2, 0, 0)],
    ),
    "paper, a warmup of 2 leaves every third fall": (
        halving("paper", warmup=2),
        [(5, 2, 5, 0, 1), (6, 2, 5, 0, 2), (6, 1, 5, 0, 0), (6, 1, 5, 0, 1), (6, 1, 5, 0, 2), (6, 0.5, 5, 0, 0)],
    ),
    "paper, a rise and a fall stay within the bounds": (
        halving("paper", min_lr=0.4, max_lr=1.5),
        [(5, 1.5, 5, 0, 0), (4, 1.5, 4, 0, 0), (4, 0.75, 4, 0, 0), (4, 0.4, 4, 0, 0), (4, 0.4, 4, 0, 0)],
    ),
    "the larger the better": (
        halving("hf", mode="max"),
        [(5, 2, 5, 0, 0), (6, 4, 6, 0, 0), (6, 2, 6, 0, 0), (7, 4, 7, 0, 0), (-7, 2, 7, 0, 0)],
    ),
}


@pytest.mark.parametrize(("schedule", "rows"), TRACES.values(), ids=TRACES)
def test_a_variant_goes_its_way(schedule: Greedy, rows: list[tuple[float, float, float, int, int]]) -> None:
    found = states(schedule, [float(metric) for metric, *_ in rows])
    seen = [(s["lrs"][0], s["best"], s["cooldown_counter"], s["warmup_counter"]) for s in found]
    assert seen == [tuple(rest) for _, *rest in rows]


# Resets


def test_a_reset_of_authors_keeps_the_lr_and_the_window() -> None:
    schedule = halving("authors", smooth=True, window_size=2, reset_start=3)
    *_, before, at, after = states(schedule, [5.0, 7.0, 9.0, 11.0])
    assert (before["lrs"], before["best"], before["reset_counter"]) == ([1.0], 5.0, 1)
    assert at == schedule.init() | {"lrs": [0.5], "window": [7.0, 9.0], "sum": 16.0}
    assert (after["lrs"], after["best"], after["window"]) == ([1.0], 10.0, [9.0, 11.0])


def test_authors_counts_only_steps_on_which_all_groups_have_one_lr() -> None:
    stream = [5.0, 4.0, 6.0]
    schedule = Greedy((1.0, 2.0), "authors", patience=0, factor=0.5, smooth=False, min_lr=0.1, max_lr=4.0)
    found = states(schedule, stream)
    assert [state["lrs"] for state in found] == [[2.0, 4.0], [4.0, 4.0], [2.0, 2.0]]
    assert [state["reset_counter"] for state in found] == [500, 499, 498]


def test_a_reset_of_hf_puts_everything_back_but_begins_a_cooldown() -> None:
    schedule = halving("hf", smooth=True, window_size=2, reset_start=2, min_lr=0.5, cooldown=1)
    *_, before, masked, at = states(schedule, [5.0, 7.0, 9.0, 11.0, 13.0, 15.0])
    assert (before["lrs"], before["reset_counter"], masked["window"]) == ([0.5], 1, [11.0, 13.0])
    assert at == schedule.init() | {"cooldown_counter": 1}


def test_a_reset_of_paper_pins_the_lr_for_ever() -> None:
    schedule = halving("paper", reset_start=3, smooth=True, window_size=2)
    found = states(schedule, [5.0, 4.0, 3.0, *map(float, range(2, -50, -1))])
    assert [state["lrs"][0] for state in found] == [2.0, 4.0, 8.0] + [1.0] * 52
    assert all(state["window"] == [] and state["num_good_epochs"] == 0 for state in found[3:])


@pytest.mark.parametrize("variant", ["hf", "authors", "paper"])
def test_without_a_reset_counter_nothing_is_ever_reset(variant: Any) -> None:
    found = states(halving(variant, min_lr=0.25), [1.0] + [2.0] * 3000)
    assert found[-1]["lrs"] == [0.25]
    assert found[-1]["best"] == 1.0


# What the help says of `paper`


@pytest.mark.parametrize(
    ("counter", "kept"),
    [("cooldown", lambda earlier, later: later <= earlier), ("warmup", lambda earlier, later: later >= earlier)],
    ids=["a cooldown forbids every rise", "a warmup forbids every fall"],
)
@pytest.mark.parametrize("smooth", [True, False])
def test_paper_with_patience(counter: str, kept: Callable[[float, float], bool], smooth: bool) -> None:
    moved = 0
    for seed in range(60):
        random = Random(seed)
        settings = {counter: random.choice([1, 2, 5]), "patience": random.choice([1, 2, 4]), "smooth": smooth}
        found = lrs(halving("paper", **settings), metrics(random, 100))
        assert all(kept(earlier, later) for earlier, later in pairwise([1.0, *found]))
        moved += found[-1] != 1.0
    assert moved


# Bounds


@pytest.mark.parametrize("variant", ["hf", "authors", "paper"])
@pytest.mark.parametrize(("mode", "sign"), [("min", 1.0), ("max", -1.0)])
def test_the_lr_reaches_its_bounds_exactly(variant: Any, mode: Any, sign: float) -> None:
    schedule = Greedy((0.3, 7e-5), variant, mode, patience=0, smooth=False, max_lr=(1.0, 3e-4), reset_start=None)
    up = [sign * metric for metric in range(200, 0, -1)]
    found = lrs(schedule, up + [sign * 300.0] * 300)
    assert found[199] == (1.0, 3e-4)
    assert found[-1] == (0.1 * 0.3, 0.1 * 7e-5)


def test_relative_bounds_are_those_of_each_group() -> None:
    assert Greedy((0.5, 0.25)).bounds == ([0.5, 0.25], [0.05, 0.025], [5.0, 2.5])
    one = Greedy((0.5, 0.25), relative_min_lr=0.5, relative_max_lr=2.0, max_lr=(0.5, 1.0))
    assert one.bounds == ([0.5, 0.25], [0.25, 0.125], [0.5, 1.0])
    assert Greedy(0.5, min_lr=0.25, relative_max_lr=1.0).bounds == ([0.5], [0.25], [0.5])


@pytest.mark.parametrize("bound", [{"max_lr": 0.0}, {"relative_max_lr": 0.0}, {"max_lr": (0.0,)}], ids=str)
def test_with_an_upper_bound_of_0_the_lr_never_rises(bound: dict[str, Any]) -> None:
    schedule = Greedy((0.5,), patience=0, smooth=False, **bound)
    assert set(lrs(schedule, [float(-n) for n in range(50)])) == {(0.5,)}
