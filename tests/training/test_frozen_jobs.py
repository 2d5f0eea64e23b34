"""Jobs whose LRs are all 0: what moves, and which of them go without updates."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from installed_optimizers import INSTALLED
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.workload import Workload
from lrctl.testing import Constant
from lrctl.training.trainer import train
from training.chaining import same_state
from training.linear import ADAMW, LINEAR, RAMP, SPEC, Bounce, Own

pytestmark = pytest.mark.usefixtures("as_in_a_job")


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
