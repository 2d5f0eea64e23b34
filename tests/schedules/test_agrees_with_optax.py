"""Families that optax has too give its LRs, in 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import optax
import pytest

from cases import each_of
from lrctl_schedules.constant import Constant, ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.one_cycle import OneCycle
from lrctl_schedules.step import StepDecay
from lrctl_schedules.symmetric import Triangle
from lrctl_schedules.wsd import WSD
from schedules.agreement import P, assert_agrees

LONGEST = 1000
STEPS = each_of("steps", [1, 97, 1000])
RUNS = each_of(("steps", "warmup"), [(100, 10), (97, 7), (1000, 250), (100, 99)])


@pytest.fixture(autouse=True)
def in_64_bits() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def lrs(schedule: Any, steps: int) -> list[float]:
    """The LR of each step from 0 to `steps`: optax defines it there too."""
    found = np.asarray(jax.vmap(schedule)(np.arange(LONGEST + 1)))  # of one length: each other one is compiled anew
    assert found.dtype == np.float64
    return found[: steps + 1].tolist()  # type: ignore[no-any-return]


def lines(knots: dict[int, float]) -> Any:
    """Straight lines between knots: optax joins schedules, each of which starts at step 0 again."""
    pieces = [optax.linear_schedule(a, b, t1 - t0) for (t0, a), (t1, b) in pairwise(knots.items())]
    return optax.join_schedules(pieces, list(knots)[1:-1])


def test_constant() -> None:
    flat = optax.piecewise_constant_schedule(P, {0: 1.0})
    assert_agrees(Constant(100, P), lrs(flat, 100))


@RUNS
def test_constant_with_warmup(steps: int, warmup: int) -> None:
    """With a warmup: without one, optax's stays at 0."""
    theirs = optax.warmup_constant_schedule(0.0, P, warmup)
    assert_agrees(ConstantWithWarmup(steps, P, warmup / steps), lrs(theirs, steps))


@STEPS
@each_of("end", [0.0, 0.1])
def test_linear(steps: int, end: float) -> None:
    assert_agrees(Linear(steps, P, 0.0, end), lrs(optax.linear_schedule(P, end * P, steps), steps))


@RUNS
def test_linear_with_warmup(steps: int, warmup: int) -> None:
    assert_agrees(Linear(steps, P, warmup / steps), lrs(lines({0: 0.0, warmup: P, steps: 0.0}), steps))


@STEPS
@each_of("power", [0.5, 1.0, 3.0])
@each_of("end", [0.0, 0.1])
def test_polynomial(steps: int, power: float, end: float) -> None:
    theirs = optax.polynomial_schedule(P, end * P, power, steps)
    assert_agrees(Polynomial(steps, P, 0.0, power, end), lrs(theirs, steps))


@STEPS
@each_of("end", [0.0, 0.1])
def test_cosine(steps: int, end: float) -> None:
    assert_agrees(Cosine(steps, P, 0.0, end), lrs(optax.cosine_decay_schedule(P, steps, alpha=end), steps))


@RUNS
@each_of("end", [0.0, 0.1])
def test_cosine_with_warmup(steps: int, warmup: int, end: float) -> None:
    """optax's decay_steps counts the warmup in."""
    theirs = optax.warmup_cosine_decay_schedule(0.0, P, warmup, decay_steps=steps, end_value=end * P)
    assert_agrees(Cosine(steps, P, warmup / steps, end), lrs(theirs, steps))


@each_of(("steps", "warmup", "decay"), [(100, 10, 20), (97, 7, 7), (1000, 250, 500)])
def test_wsd(steps: int, warmup: int, decay: int) -> None:
    theirs = lines({0: 0.0, warmup: P, steps - decay: P, steps: 0.0})
    assert_agrees(WSD(steps, P, warmup / steps, decay / steps), lrs(theirs, steps))


@each_of("steps", [2, 10, 1000])
def test_triangle(steps: int) -> None:
    assert_agrees(Triangle(steps, P), lrs(lines({0: 0.0, steps // 2: P, steps: 0.0}), steps))


@each_of(("steps", "period"), [(90, 30), (100, 30), (97, 1)])
@each_of("factor", [0.1, 0.5])
def test_step(steps: int, period: int, factor: float) -> None:
    theirs = optax.exponential_decay(P, period, factor, staircase=True)
    assert_agrees(StepDecay(steps, P, period / steps, factor), lrs(theirs, steps))


@each_of(("first", "times", "cycles"), [(25, 1, 4), (10, 2, 3), (7, 3, 4)])
@each_of("end", [0.0, 0.1])
def test_cosine_with_restarts(first: int, times: int, cycles: int, end: float) -> None:
    """A list of cycles in optax; each may have a warmup of its own, ours have none."""
    cycle = {"init_value": P, "peak_value": P, "warmup_steps": 0, "end_value": end * P}
    steps = [first * times**i for i in range(cycles)]
    theirs = optax.sgdr_schedule([{**cycle, "decay_steps": each} for each in steps])
    ours = CosineWithRestarts(sum(steps), P, 0.0, cycles, float(times), end)
    assert_agrees(ours, lrs(theirs, sum(steps)))


@each_of("steps", [10, 1000])
@each_of("rise", [0.3, 0.5])
def test_one_cycle(steps: int, rise: float) -> None:
    """As in torch, final_div_factor divides the start, not the peak."""
    theirs = optax.cosine_onecycle_schedule(steps, P, rise, div_factor=20.0, final_div_factor=50.0)
    assert_agrees(OneCycle(steps, P, rise, 1 / 20, 1 / 1000), lrs(theirs, steps))


@each_of("steps", [10, 1000])
@each_of("rise", [0.3, 0.5])
def test_one_cycle_of_lines(steps: int, rise: float) -> None:
    """optax's has three phases, of which pct_final = 1 leaves two: final_div_factor then divides the peak."""
    theirs = optax.linear_onecycle_schedule(steps, P, rise, 1.0, div_factor=20.0, final_div_factor=1000.0)
    assert_agrees(OneCycle(steps, P, rise, 1 / 20, 1 / 1000, "linear"), lrs(theirs, steps))


def test_cyclical() -> None:
    theirs = lines({0: 0.06, 10: P, 40: 0.06, 50: P, 80: 0.06, 90: P, 120: 0.06})
    assert_agrees(Cyclical(120, P, cycles=3, base=0.2, rise=0.25), lrs(theirs, 120))
