"""Nothing in the engine depends on the unit of the loss: a sum over the batch leads to the same choices as its mean."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch
from lrctl.engine.divergence import deviation, spread
from searches import search, session_of, smoke

SCALED = """
from lrctl.recipe.workloads import load_workload

class Scaled:
    # The loss in another unit, with the same gradient.
    def __init__(self, seed, unit, inner=None):
        self.unit, self.inner = unit, load_workload("linear-regression", {"noise": 1.0}, seed)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def loss(self, model, batch):
        loss = self.inner.loss(model, batch)
        return self.unit * loss.detach() + (loss - loss.detach())

    def evaluate(self, model, split):
        return {name: value * self.unit for name, value in self.inner.evaluate(model, split).items()}

    def model(self):
        return self.inner.model()

    def batch(self, step):
        return self.inner.batch(step)

    def score_batch(self, i):
        return self.inner.score_batch(i)
"""


def scaled(folder: Path, unit: float, **overrides: Any) -> Any:
    (folder / "scaled.py").write_text(SCALED)
    return smoke(workload__name=f"{folder}/scaled.py:Scaled", workload__unit=unit, optimizer__name="adamw", **overrides)


@pytest.mark.parametrize(
    ("command", "unit"),
    [("semilocal", 1024.0), ("semilocal", 1 / 1024), ("lookahead", 1024.0), ("baseline", 1 / 1024)],
)
def test_another_unit_of_the_loss_leads_to_the_same_schedule(command: str, unit: float, tmp_path: Path) -> None:
    options = {"training__steps": 40, "strategy__semilocal__eps": 0.5, "strategy__semilocal__eps_unit": "progress"}
    one, other = (search(tmp_path / str(u), scaled(tmp_path, u, **options), command) for u in (1.0, unit))
    assert other["schedule"] == one["schedule"]
    assert other["test_loss"] == pytest.approx(unit * one["test_loss"])
    assert [note.replace("1024", "") for note in other["notes"]] == one["notes"]


@pytest.mark.parametrize("unit", [1.0, 1024.0, 1 / 1024])
def test_a_blow_up_is_divergence_in_any_unit_and_noise_is_not(unit: float, tmp_path: Path) -> None:
    jobs = [SegmentJob(0, 60, PiecewiseLinear(((0, 1e-3), (60, lr)))) for lr in (1e-3, 1e-2, 3e-2, 30.0)]
    with session_of(tmp_path / "store", scaled(tmp_path, unit)) as session:
        statuses = [result.status for result in session.run_batch(Batch("first", jobs))]
    assert statuses == ["ok", "ok", "ok", "diverged"]


def record(*losses: float) -> JobRecord:
    """The record of a job with these losses; those that are not finite do not count."""
    good = [loss for loss in losses if math.isfinite(loss)]
    mean, deviation = (statistics.fmean(good), statistics.pstdev(good)) if good else (math.inf, 0.0)
    return JobRecord("", "ok", mean, len(losses) - len(good), steps=len(losses), deviation=deviation)


def test_the_deviation_of_a_run_is_that_of_the_losses_of_all_its_jobs() -> None:
    losses = [6.0, 5.0, 4.5, 4.0, 4.25, 4.0, 3.5]
    run = [record(*losses[:2]), record(*losses[2:3]), record(math.nan, *losses[3:], math.inf), record(math.nan)]
    assert deviation(run) == pytest.approx(statistics.pstdev(losses))
    assert deviation([record(math.nan)]) == deviation([]) == 0.0


def test_the_spread_is_the_median_over_runs() -> None:
    assert spread([[record(1.0, 3.0)], [record(1.0, 1.0)], [record(0.0, 8.0)]]) == 1.0
    assert spread([]) == 0.0
