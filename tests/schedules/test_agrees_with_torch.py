"""Families that torch has too give the LRs that torch.optim.lr_scheduler sets."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    PolynomialLR,
    StepLR,
)

from cases import each_of
from lrctl_schedules.constant import Constant
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.one_cycle import OneCycle
from lrctl_schedules.step import StepDecay
from schedules.agreement import P, assert_agrees, lrs

STEPS = each_of("steps", [1, 2, 10, 97, 1000])


@STEPS
def test_constant(steps: int) -> None:
    assert_agrees(Constant(steps, P), lrs(lambda o: ConstantLR(o, factor=1.0), steps))


@STEPS
@each_of("end", [0.0, 0.1, 1.0])
def test_linear(steps: int, end: float) -> None:
    theirs = lrs(lambda o: LinearLR(o, start_factor=1.0, end_factor=end, total_iters=steps), steps)
    assert_agrees(Linear(steps, P, warmup=0.0, end=end), theirs)


@STEPS
@each_of("power", [0.5, 1.0, 3.0])
def test_polynomial(steps: int, power: float) -> None:
    theirs = lrs(lambda o: PolynomialLR(o, total_iters=steps, power=power), steps)
    assert_agrees(Polynomial(steps, P, warmup=0.0, power=power), theirs)


@STEPS
@each_of("end", [0.0, 0.1])
def test_cosine(steps: int, end: float) -> None:
    theirs = lrs(lambda o: CosineAnnealingLR(o, T_max=steps, eta_min=end * P), steps)
    assert_agrees(Cosine(steps, P, warmup=0.0, end=end), theirs)


@each_of(("first", "times", "cycles"), [(25, 1, 4), (1, 1, 7), (10, 2, 3), (7, 3, 4), (1000, 2, 1)])
@each_of("end", [0.0, 0.1])
def test_cosine_with_restarts(first: int, times: int, cycles: int, end: float) -> None:
    """T_0 and T_mult make a run of whole cycles: its steps are T_0 (1 + T_mult + T_mult^2 + ...)."""
    steps = first * sum(times**i for i in range(cycles))
    theirs = lrs(lambda o: CosineAnnealingWarmRestarts(o, T_0=first, T_mult=times, eta_min=end * P), steps)
    ours = CosineWithRestarts(steps, P, warmup=0.0, cycles=cycles, growth=float(times), end=end)
    assert_agrees(ours, theirs)


@each_of(("steps", "period"), [(90, 30), (100, 30), (97, 1), (1000, 1000)])
@each_of("factor", [0.1, 0.5, 1.0])
@each_of("lengths", ["fraction", "steps"])
def test_step(steps: int, period: int, factor: float, lengths: Literal["fraction", "steps"]) -> None:
    ours = StepDecay(steps, P, period if lengths == "steps" else period / steps, factor, lengths)
    assert_agrees(ours, lrs(lambda o: StepLR(o, step_size=period, gamma=factor), steps))


def test_step_with_a_period_of_one_step_is_exponential() -> None:
    assert_agrees(StepDecay(200, P, 1, 0.95, "steps"), lrs(lambda o: ExponentialLR(o, gamma=0.95), 200))


@each_of("total_steps", [10, 100, 997])
@each_of("pct_start", [0.3, 0.5, 1.0])
@each_of(("anneal", "strategy"), [("cosine", "cos"), ("linear", "linear")])
def test_one_cycle(total_steps: int, pct_start: float, anneal: Any, strategy: Any) -> None:
    """Torch's last update has the end LR, and its peak is one step early: a run of one step less, in our terms."""

    theirs = partial(OneCycleLR, max_lr=P, total_steps=total_steps, pct_start=pct_start, anneal_strategy=strategy)
    scheduler = partial(theirs, div_factor=20.0, final_div_factor=50.0, cycle_momentum=False)
    ours = OneCycle(total_steps - 1, P, pct_start * total_steps - 1, 1 / 20, 1 / 1000, anneal, "steps")
    assert_agrees(ours, lrs(scheduler, total_steps))


def test_one_cycle_has_the_shares_of_torch_as_defaults() -> None:
    theirs = lrs(lambda o: OneCycleLR(o, P, total_steps=101, pct_start=31 / 101, cycle_momentum=False), 101)
    assert_agrees(OneCycle(100, P), theirs)


@each_of(("up", "down", "cycles"), [(10, 10, 3), (5, 20, 4), (50, 14, 1), (1, 1, 6)])
@each_of("base", [0.0, 0.25])
@each_of(("mode", "factor"), [("triangular", 1.0), ("triangular2", 0.5)])
def test_cyclical(up: int, down: int, cycles: int, base: float, mode: Any, factor: float) -> None:
    """step_size_up and step_size_down make a run of whole cycles, which rise in up / (up + down) of their steps."""
    steps = (up + down) * cycles
    theirs = lrs(lambda o: CyclicLR(o, base * P, P, up, down, mode, cycle_momentum=False), steps)
    assert_agrees(Cyclical(steps, P, cycles, base, up / (up + down), factor), theirs)
