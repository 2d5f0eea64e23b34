from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from installed_optimizers import INSTALLED
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation, Schedule
from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.param_groups import scales
from lrctl.recipe.workloads import load_workload
from lrctl.testing import Constant, check_adaptive_schedule
from lrctl.training import passes
from lrctl.training.trainer import train
from training.chaining import CUTS, STEPS, Schedules, chained, same_state
from training.small_gpt import small_gpt

ADAMW = optimizers.AdamW()
SPEC = TrainSpec("linear-regression", {}, "", 0, ADAMW)
LINEAR = load_workload("linear-regression", {}, 0)
RAMP = PiecewiseLinear(((0, 0.0), (5, 0.3), (24, 0.0)))


@dataclass(frozen=True)
class Bounce:
    """A scripted adaptive schedule: up by half when the loss falls, to a third when it rises."""

    lr: float = 0.05

    def init(self) -> Any:
        return {"lr": self.lr, "seen": [], "last": None}

    def __call__(self, _step: int, state: Any) -> float:
        return float(state["lr"])

    def update(self, state: Any, seen: Observation) -> Any:
        falls = state["last"] is None or seen.loss < state["last"]
        lr = state["lr"] * (1.5 if falls else 1 / 3)
        return {"lr": lr, "seen": [*state["seen"][-2:], seen.step], "last": seen.loss}


pytestmark = pytest.mark.usefixtures("as_in_a_job")


@pytest.fixture
def gpt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workload:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    return load_workload("gpt", small_gpt(tmp_path), 0)


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


# What is recorded


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


@dataclass
class Own:
    """Linear regression with an optimizer of its own."""

    make: Callable[[torch.nn.Module], torch.optim.Optimizer]

    def __getattr__(self, name: str) -> Any:
        return getattr(LINEAR, name)

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        return self.make(model)


class Spy(torch.optim.SGD):
    """SGD that notes the LR of each group at each update."""

    def __init__(self, groups: Any) -> None:
        super().__init__(groups, lr=123.0)
        self.used: list[list[float]] = []

    def step(self, closure: Any = None) -> Any:
        self.used.append([group["lr"] for group in self.param_groups])
        return super().step(closure)


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


def test_a_group_that_a_scheduler_has_moved_is_scaled_by_the_lr_that_it_was_made_with() -> None:
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    moved = torch.optim.SGD([{"params": [p], "lr": 0.0, "initial_lr": 2.0 - i} for i, p in enumerate(parameters)])
    assert scales(moved) == [1.0, 0.5]


def test_an_optimizer_without_an_lr_is_refused() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    optimizer.param_groups[0]["lr"] = None  # as a relative-step Adafactor
    with pytest.raises(UsageError, match=r"optimizer SGD: it has no LR and sets its own; make it with an lr"):
        scales(optimizer)


class Stubborn(torch.optim.SGD):
    """An optimizer that sets the LR itself."""

    def step(self, closure: Any = None) -> Any:
        self.param_groups[0]["lr"] = 0.7
        return super().step(closure)


def test_an_optimizer_that_resets_the_lr_is_caught() -> None:
    own: Any = Own(lambda model: Stubborn(model.parameters()))
    with pytest.raises(UsageError, match=r"the optimizer used LR 0.7 instead of 0.1; nothing else may set the LR"):
        train(own, replace(SPEC, optimizer=None), SegmentJob(0, 2, Constant(0.1)))


# Siblings


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


def test_frozen_weights_stay_what_they_are() -> None:
    first = train(LINEAR, SPEC, SegmentJob(0, 5, Constant(0.1)))
    weights = copy.deepcopy(first.state["model"])
    still = train(LINEAR, SPEC, SegmentJob(5, 15, Constant(0.0)), first.state)
    assert same_state(still.state["model"], weights)


@dataclass
class Normed:
    """A network with batch normalisation and dropout, whose first batch of several overflows in its gradient only."""

    overflows: bool = False

    def model(self) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
        )

    def batch(self, step: int) -> torch.Tensor:
        return torch.randn(16, 4) + step

    def loss(self, model: Any, batch: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = model(batch).square().mean()
        return loss + (model[3].bias - model[3].bias.detach()).abs().sqrt().sum() if self.overflows else loss

    score_batch = batch

    def evaluate(self, model: Any, split: str) -> Mapping[str, float]:
        return {"loss": float(self.loss(model, self.batch(len(split))))}


FROZEN: dict[str, tuple[Any, dict[str, Any]]] = {
    "in pieces": (Normed(), {"micro_batches": 4}),
    "bfloat16": (Normed(), {"dtype": "bfloat16"}),
    "clipped": (Normed(), {"optimizer": replace(ADAMW, clip_norm=0.1)}),
    "sgd": (Normed(), {"optimizer": optimizers.SGD(momentum=0.9, weight_decay=0.1)}),
    **{name: (Normed(), {"optimizer": kind()}) for name, kind in INSTALLED.items()},
    "gradient not finite": (Normed(overflows=True), {}),
    "gradient not finite, with momentum": (Normed(overflows=True), {"optimizer": optimizers.SGD(momentum=0.9)}),
}


@pytest.mark.parametrize(("workload", "options"), FROZEN.values(), ids=FROZEN)
def test_a_frozen_job_gives_the_same_with_and_without_its_updates(workload: Any, options: dict[str, Any]) -> None:
    spec = replace(SPEC, **options)
    start = train(Normed(), spec, SegmentJob(0, 5, Constant(0.01))).state
    job = SegmentJob(5, 12, Constant(0.0), score_batches=2, evaluate=("validation",))
    full = train(workload, spec, job, start)
    forward = train(workload, spec, replace(job, checkpoint=False), start)
    assert np.isfinite(full.losses).all()
    assert forward.losses.tobytes() == full.losses.tobytes()
    assert (forward.lrs, forward.scores, forward.metrics) == (full.lrs, full.scores, full.metrics)
    assert same_state(forward.state["model"], full.state["model"])  # the running means of batch normalisation move
    assert not same_state(start["model"], full.state["model"])


def test_so_it_does_with_layers_and_dropout(gpt: Workload) -> None:
    start = train(gpt, SPEC, SegmentJob(0, 5, Constant(0.01))).state
    job = SegmentJob(5, 15, Constant(0.0))
    full, forward = train(gpt, SPEC, job, start), train(gpt, SPEC, replace(job, checkpoint=False), start)
    assert forward.losses.tobytes() == full.losses.tobytes()


UPDATED: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "a frozen job": ({}, {}, False),
    "one whose state is kept": ({"checkpoint": True}, {}, True),
    "one whose gradient is asked for": ({"gradient_norms": True}, {}, True),
    "one that moves": ({"schedule": RAMP}, {}, True),
    "one that is seen by its schedule": ({"schedule": Bounce()}, {}, True),
    "one with an optimizer of the workload's own": ({}, {"optimizer": None}, True),
    "one with a class by its name": ({}, {"optimizer": optimizers.ByName(name="torch.optim.SGD")}, True),
}


@pytest.mark.parametrize(("changes", "options", "updated"), UPDATED.values(), ids=UPDATED)
def test_only_a_frozen_job_whose_state_is_not_kept_goes_without_updates(
    changes: dict[str, Any], options: dict[str, Any], updated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    own: Any = Own(lambda model: torch.optim.SGD(model.parameters(), lr=0.0))
    for kind in (torch.optim.AdamW, torch.optim.SGD):
        monkeypatch.setattr(kind, "step", lambda *_: steps.append(1))
    job = SegmentJob(0, 3, Constant(0.0), checkpoint=False)
    train(own, replace(SPEC, **options), replace(job, **changes))
    assert len(steps) == (3 if updated else 0)


# Scores and metrics


def test_gradient_norms_are_those_of_each_step_and_change_nothing() -> None:
    workload = load_workload("linear-regression", {}, 0)
    job = SegmentJob(0, 4, Constant(0.0))
    measured, plain = train(workload, SPEC, replace(job, gradient_norms=True)), train(workload, SPEC, job)
    passes.seed_all(0, "model", torch.device("cpu"))
    model = workload.model()
    norms = []
    for step in range(4):
        model.zero_grad()
        workload.loss(model, workload.batch(step)).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.cat(gradients))))
    assert measured.gradient_norms == pytest.approx(norms)
    assert plain.gradient_norms is None
    assert measured.losses.tobytes() == plain.losses.tobytes()


def test_gradient_norms_are_measured_before_clipping() -> None:
    workload = load_workload("linear-regression", {}, 0)
    job = SegmentJob(0, 1, Constant(0.0), gradient_norms=True)
    clipped = replace(SPEC, optimizer=replace(ADAMW, clip_norm=1e-6))
    assert train(workload, clipped, job).gradient_norms == train(workload, SPEC, job).gradient_norms


def scores(workload: Any, model: torch.nn.Module, n: int) -> tuple[float, ...]:
    """The losses of the first n batches that are reserved for scores."""
    return tuple(float(workload.loss(model, workload.score_batch(i)).item()) for i in range(n))


def test_the_scores_are_the_losses_of_the_last_weights_on_reserved_batches() -> None:
    trained = train(LINEAR, SPEC, SegmentJob(0, 10, RAMP, score_batches=3))
    model = LINEAR.model()
    model.load_state_dict(trained.state["model"])
    assert trained.scores == scores(LINEAR, model, 3)


def test_scores_and_metrics_leave_training_as_it_is(gpt: Workload) -> None:
    plain = train(gpt, SPEC, SegmentJob(0, 5, RAMP))
    scored = train(gpt, SPEC, SegmentJob(0, 5, RAMP, score_batches=2, evaluate=("validation", "test")))
    assert scored.losses.tobytes() == plain.losses.tobytes()
    assert same_state(scored.state, plain.state)
    assert plain.scores == ()
    assert plain.metrics == {}


def test_scores_and_metrics_are_taken_without_dropout_and_always_the_same(gpt: Workload) -> None:
    job = SegmentJob(0, 5, RAMP, score_batches=2, evaluate=("validation", "test"))
    first, second = train(gpt, SPEC, job), train(gpt, SPEC, job)
    model = gpt.model()
    model.load_state_dict(first.state["model"])
    model.eval()
    assert first.scores == second.scores == scores(gpt, model, 2)
    assert first.metrics == second.metrics == {split: gpt.evaluate(model, split) for split in ("validation", "test")}


@dataclass
class Reserve:
    """A workload that keeps so many batches aside."""

    batches: int
    model: Any = LINEAR.model
    batch: Any = LINEAR.batch
    loss: Any = LINEAR.loss

    def score_batch(self, i: int) -> Any:
        if i >= self.batches:
            raise IndexError
        return LINEAR.score_batch(i)  # type: ignore[attr-defined]

    def evaluate(self, model: Any, split: str) -> dict[str, float]:  # noqa: ARG002
        model(torch.zeros(40, 16))
        return {"loss": float(model(torch.zeros(9, 16)).mean())}


@pytest.mark.parametrize("batches", [0, 1, 3, 9])
def test_fewer_batches_in_reserve_than_asked_for_are_all_scored(batches: int) -> None:
    trained = train(Reserve(batches), SPEC, SegmentJob(0, 2, RAMP, score_batches=3))
    assert trained.scores == train(LINEAR, SPEC, SegmentJob(0, 2, RAMP, score_batches=3)).scores[:batches]


def test_without_scores_a_workload_gives_none() -> None:
    @dataclass
    class Unscored:
        model: Any = LINEAR.model
        batch: Any = LINEAR.batch
        loss: Any = LINEAR.loss
        evaluate: Any = LINEAR.evaluate

    assert train(Unscored(), SPEC, SegmentJob(0, 1, RAMP, score_batches=1)).scores == ()


def test_what_validation_takes_is_counted_in_passes_over_a_batch() -> None:
    rows = len(LINEAR.batch(0)[0])
    job = SegmentJob(0, 2, RAMP, evaluate=("validation", "test"))
    assert train(Reserve(0), SPEC, job).evaluated == math.ceil(49 / rows)
    assert train(Reserve(0), SPEC, replace(job, evaluate=("test",))).evaluated == 0


def test_metrics_without_a_loss_are_refused() -> None:
    class Vague(Own):
        def evaluate(self, _model: Any, _split: str) -> Mapping[str, float]:
            return {"accuracy": 1.0}

    vague: Any = Vague(lambda model: Spy(model.parameters()))
    with pytest.raises(UsageError, match=r"Vague.evaluate: must return metrics by name, 'loss' among"):
        train(vague, replace(SPEC, optimizer=None), SegmentJob(0, 1, RAMP, evaluate=("test",)))


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


def test_bfloat16_is_another_number() -> None:
    full = train(LINEAR, SPEC, SegmentJob(0, 5, RAMP)).losses
    half = train(LINEAR, replace(SPEC, dtype="bfloat16"), SegmentJob(0, 5, RAMP)).losses
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, rtol=0.05)
