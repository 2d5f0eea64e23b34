"""What a job measures beside its losses: gradient norms, scores and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.recipe.workloads import load_workload
from lrctl.testing import Constant
from lrctl.training import passes
from lrctl.training.trainer import train
from training.chaining import same_state
from training.linear import ADAMW, LINEAR, RAMP, SPEC, Own, Spy

pytestmark = pytest.mark.usefixtures("as_in_a_job")


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
