"""Families that Hugging Face transformers has too give the LRs that its schedules set."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import transformers

from cases import case, each_of
from lrctl_schedules.constant import Constant, ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts
from lrctl_schedules.inverse import InverseSqrt
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.wsd import WSD
from schedules.agreement import P, assert_agrees, lrs

HF: Any = transformers
RUNS = each_of(("steps", "warmup"), [(100, 0), (100, 10), (97, 7), (100, 100), (1, 0), (1000, 250)])


def test_constant() -> None:
    assert_agrees(Constant(100, P), lrs(HF.get_constant_schedule, 100))


@RUNS
def test_constant_with_warmup(steps: int, warmup: int) -> None:
    theirs = lrs(lambda o: HF.get_constant_schedule_with_warmup(o, warmup), steps)
    assert_agrees(ConstantWithWarmup(steps, P, warmup / steps), theirs)


@RUNS
def test_linear(steps: int, warmup: int) -> None:
    theirs = lrs(lambda o: HF.get_linear_schedule_with_warmup(o, warmup, steps), steps)
    assert_agrees(Linear(steps, P, warmup / steps), theirs)


@RUNS
def test_cosine(steps: int, warmup: int) -> None:
    theirs = lrs(lambda o: HF.get_cosine_schedule_with_warmup(o, warmup, steps), steps)
    assert_agrees(Cosine(steps, P, warmup / steps), theirs)


@RUNS
def test_cosine_with_an_end_lr(steps: int, warmup: int) -> None:
    make = HF.get_cosine_with_min_lr_schedule_with_warmup
    theirs = lrs(lambda o: make(o, warmup, steps, min_lr_rate=0.1), steps)
    assert_agrees(Cosine(steps, P, warmup / steps, end=0.1), theirs)


@RUNS
@each_of("cycles", [1, 2, 3, 4])
def test_cosine_with_restarts(steps: int, warmup: int, cycles: int) -> None:
    make = HF.get_cosine_with_hard_restarts_schedule_with_warmup
    theirs = lrs(lambda o: make(o, warmup, steps, num_cycles=cycles), steps)
    assert_agrees(CosineWithRestarts(steps, P, warmup / steps, cycles), theirs)


@RUNS
@each_of("power", [0.5, 1.0, 2.0])
def test_polynomial(steps: int, warmup: int, power: float) -> None:
    """transformers has an absolute end LR, 1e-7 by default."""
    make = HF.get_polynomial_decay_schedule_with_warmup
    theirs = lrs(lambda o: make(o, warmup, steps, power=power), steps)
    assert_agrees(Polynomial(steps, P, warmup / steps, power, end=1e-7 / P), theirs)


@RUNS
@each_of("timescale", [None, 5, 10_000])
def test_inverse_sqrt(steps: int, warmup: int, timescale: int | None) -> None:
    """In transformers the timescale is the warmup by default, and 10,000 steps without one."""
    theirs = lrs(lambda o: HF.get_inverse_sqrt_schedule(o, warmup, timescale), steps)
    assert_agrees(InverseSqrt(steps, P, warmup, timescale or warmup or 10_000, "steps"), theirs)


@each_of(("steps", "warmup", "decay"), [(100, 10, 20), (97, 0, 7), (100, 40, 60), (9, 3, 0)])
@each_of("cooldown", ["linear", "cosine", "1-sqrt"])
def test_wsd(steps: int, warmup: int, decay: int, cooldown: Any) -> None:
    theirs = lrs(lambda o: HF.get_wsd_schedule(o, warmup, decay, steps, decay_type=cooldown), steps)
    assert_agrees(WSD(steps, P, warmup / steps, decay / steps, cooldown=cooldown), theirs)


@each_of("cooldown", ["linear", "cosine", "1-sqrt"])
def test_wsd_with_an_end_lr(cooldown: Any) -> None:
    """Without warmup only: in transformers it begins at the end LR, here at 0."""
    make = HF.get_wsd_schedule
    theirs = lrs(lambda o: make(o, 0, 30, 100, decay_type=cooldown, min_lr_ratio=0.1), 100)
    assert_agrees(WSD(100, P, 0.0, 0.3, 0.1, cooldown), theirs)


BASELINES: dict[str, Any] = {
    "linear": lambda steps, w: Linear(steps, P, w, lengths="steps"),
    "cosine": lambda steps, w: Cosine(steps, P, w, lengths="steps"),
    "polynomial": lambda steps, w: Polynomial(steps, P, w, power=1.0, end=1e-7 / P, lengths="steps"),
    "constant_with_warmup": lambda steps, w: ConstantWithWarmup(steps, P, w, lengths="steps"),
}
"""What GreedyLR is compared with in its paper."""
LENGTHS = [(n, w) for n in (1, 2, 10, 1000) for w in sorted({0, 1, n // 10, n - 1}) if w < n]


@pytest.mark.parametrize("name", BASELINES)
def test_the_baselines_of_greedy_lr(name: str) -> None:
    for steps, warmup in LENGTHS:
        make = partial(HF.get_scheduler, name, num_warmup_steps=warmup, num_training_steps=steps)
        ours, theirs = BASELINES[name](steps, warmup), lrs(make, steps)
        found, exact = [ours(step) for step in range(steps)], name in ("cosine", "constant_with_warmup")
        with case(steps=steps, warmup=warmup):
            assert found == (theirs if exact else pytest.approx(theirs, rel=1e-12, abs=0))
