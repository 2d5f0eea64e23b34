"""The training loop: cut anywhere, with the LRs that it is told, by the optimizer that it is given."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.optimizers.building import build_optimizer
from lrctl.testing import Constant, check_adaptive_schedule
from lrctl.training.trainer import train
from training.chaining import CUTS, STEPS, Schedules, chained, same_state
from training.linear import ADAMW, LINEAR, RAMP, SPEC, Bounce, Own, Spy

pytestmark = pytest.mark.usefixtures("as_in_a_job")


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("schedule", [RAMP, Bounce()], ids=["plain", "adaptive"])
def test_segments_chained_through_checkpoints_are_the_uninterrupted_run(
    schedule: Schedules, cuts: tuple[int, ...], tmp_path: Path
) -> None:
    whole = train(LINEAR, SPEC, SegmentJob(0, STEPS, schedule))
    parts, state = chained(LINEAR, SPEC, schedule, cuts, tmp_path)
    assert np.concatenate([part.losses for part in parts]).tobytes() == whole.losses.tobytes()
    assert [lr for part in parts for lr in part.lrs] == whole.lrs
    assert same_state(state, whole.state)


@pytest.mark.parametrize("schedule", [RAMP, Bounce(0.003)], ids=["plain", "adaptive"])
def test_so_they_are_with_layers_and_dropout(schedule: Schedules, gpt: Workload, tmp_path: Path) -> None:
    whole = train(gpt, SPEC, SegmentJob(0, STEPS, schedule))
    parts, state = chained(gpt, SPEC, schedule, (7, 16), tmp_path)
    assert np.concatenate([part.losses for part in parts]).tobytes() == whole.losses.tobytes()
    assert same_state(state, whole.state)


def test_dropout_is_on_and_drawn_afresh_for_each_step(gpt: Workload) -> None:
    still = SegmentJob(0, 2, Constant(0.0))
    with_dropout = train(gpt, SPEC, still).losses
    gpt_without = replace(gpt, params=replace(gpt.params, dropout=0.0))  # type: ignore[type-var,attr-defined]
    assert (with_dropout != train(gpt_without, SPEC, still).losses).all()
    assert train(gpt, replace(SPEC, seed=1), still).losses[0] != with_dropout[0]


def test_the_scripted_schedule_keeps_the_contract_and_moves() -> None:
    check_adaptive_schedule(Bounce(), [3.0, 2.0, 2.5, 1.0])
    lrs = train(LINEAR, SPEC, SegmentJob(0, STEPS, Bounce())).lrs
    assert any(later > lr for lr, later in pairwise(lrs))
    assert any(later < lr for lr, later in pairwise(lrs))


def test_an_adaptive_run_can_be_replayed_as_a_plain_schedule() -> None:
    adaptive = train(LINEAR, SPEC, SegmentJob(0, STEPS, Bounce()))
    recorded = PiecewiseLinear(tuple(enumerate(adaptive.lrs)))
    assert train(LINEAR, SPEC, SegmentJob(0, STEPS, recorded)).losses.tobytes() == adaptive.losses.tobytes()


def test_an_adaptive_schedule_starts_afresh_where_its_parent_had_none() -> None:
    first = train(LINEAR, SPEC, SegmentJob(0, 10, RAMP))
    assert train(LINEAR, SPEC, SegmentJob(10, 12, Bounce(0.07)), first.state).lrs[0] == 0.07


@pytest.mark.parametrize("lr", [-0.1, math.nan, math.inf])
def test_an_adaptive_schedule_must_give_an_lr_that_can_be_used(lr: float) -> None:
    with pytest.raises(ValueError, match=r"Bounce.* at step 0; it must be finite and >= 0"):
        train(LINEAR, SPEC, SegmentJob(0, 2, Bounce(lr)))


def by_hand(schedule: Schedule, steps: int) -> list[float]:
    """The losses of a training loop written out."""
    torch.manual_seed(0)
    model = LINEAR.model()
    adamw = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.999), weight_decay=0.1, fused=True)
    losses = []
    for step in range(steps):
        loss = LINEAR.loss(model, LINEAR.batch(step))
        losses.append(loss.item())
        adamw.param_groups[0]["lr"] = schedule(step)
        adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adamw.step()
    return losses


def test_training_is_the_plain_loop() -> None:
    trained = train(LINEAR, SPEC, SegmentJob(0, STEPS, RAMP))
    assert trained.losses.tolist() == by_hand(RAMP, STEPS)
    assert trained.lrs == [RAMP(step) for step in range(STEPS)]
    assert trained.losses.dtype == np.float32


def test_bfloat16_is_another_number() -> None:
    full = train(LINEAR, SPEC, SegmentJob(0, 5, RAMP)).losses
    half = train(LINEAR, replace(SPEC, dtype="bfloat16"), SegmentJob(0, 5, RAMP)).losses
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, rtol=0.05)


def test_training_leaves_the_state_it_starts_from_as_it_is(gpt: Workload) -> None:
    start = train(gpt, SPEC, SegmentJob(0, 5, Constant(0.01))).state
    before = copy.deepcopy(start)
    first = train(gpt, SPEC, SegmentJob(5, 10, Constant(0.02)), start)
    assert same_state(start, before)
    train(gpt, SPEC, SegmentJob(5, 10, Constant(5.0)), start)
    second = train(gpt, SPEC, SegmentJob(5, 10, Constant(0.02)), start)
    assert same_state(start, before)
    assert first.losses.tobytes() == second.losses.tobytes()
    assert same_state(first.state, second.state)


def test_the_callers_random_numbers_play_no_part(gpt: Workload) -> None:
    torch.manual_seed(1)
    first = train(gpt, SPEC, SegmentJob(0, 3, RAMP))
    torch.rand(100)
    assert train(gpt, SPEC, SegmentJob(0, 3, RAMP)).losses.tobytes() == first.losses.tobytes()


# Optimizers


def test_the_workloads_own_optimizer_is_used_where_no_other_is_named() -> None:
    own: Any = Own(lambda model: Spy(model.parameters()))
    model = LINEAR.model()
    assert isinstance(build_optimizer(own, model, None), Spy)
    assert isinstance(build_optimizer(own, model, ADAMW), torch.optim.AdamW)
    with pytest.raises(UsageError, match=r"LinearRegression.optimizer: there is no such method"):
        build_optimizer(LINEAR, model, None)


def test_the_recipes_optimizer_is_fused_adamw_with_the_workloads_groups(gpt: Workload) -> None:
    adamw = build_optimizer(gpt, gpt.model(), replace(ADAMW, betas=(0.8, 0.9), eps=1e-7))
    matrices, rest = adamw.param_groups
    assert (matrices["betas"], matrices["eps"], matrices["weight_decay"]) == ((0.8, 0.9), 1e-7, 0.1)
    assert rest["weight_decay"] == 0.0
    assert matrices["fused"] is True


def test_the_lrs_recorded_are_the_ones_used_and_lr_scale_is_honoured() -> None:
    made: list[Spy] = []

    def make(model: torch.nn.Module) -> Spy:
        extra = torch.nn.Parameter(torch.zeros(1))
        made.append(Spy([{"params": list(model.parameters())}, {"params": [extra], "lr_scale": 0.5}]))
        return made[-1]

    own: Any = Own(make)
    first = train(own, replace(SPEC, optimizer=None), SegmentJob(0, 10, RAMP))
    train(own, replace(SPEC, optimizer=None), SegmentJob(10, STEPS, RAMP), first.state)
    used = made[0].used + made[1].used
    assert used == [[RAMP(step), 0.5 * RAMP(step)] for step in range(STEPS)]
    assert first.lrs == [lrs[0] for lrs in made[0].used]


class Stubborn(torch.optim.SGD):
    """An optimizer that sets the LR itself."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["lr"] = 0.7
        return super().step(closure)


def test_an_optimizer_that_resets_the_lr_is_caught() -> None:
    own: Any = Own(lambda model: Stubborn(model.parameters()))
    with pytest.raises(UsageError, match=r"the optimizer used LR 0.7 instead of 0.1; nothing else may set the LR"):
        train(own, replace(SPEC, optimizer=None), SegmentJob(0, 2, Constant(0.1)))
