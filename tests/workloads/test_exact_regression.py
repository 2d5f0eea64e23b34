"""The expected loss of SGD on least squares: against a plain loop, finite differences, and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrctl.contracts.exact import Exact
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch
from lrctl.contracts.workload import WithOptimizer, Workload
from lrctl_workloads.regression.exact import TOGETHER, ExactRegression, ExactRegressionParams
from searches import session_of, smoke


def workload(dim: int = 8, batch_size: int = 2, seed: int = 0) -> ExactRegression:
    return ExactRegression(ExactRegressionParams(dim, batch_size), seed)


def plain(lrs: Any, dim: int, batch: int) -> float:
    """The recursion as the module states it, in p and number by number."""
    eigenvalues = [1 / k for k in range(1, dim + 1)]
    p = [1 / l for l in eigenvalues]  # noqa: E741
    for lr in lrs:
        whole = sum(l * each for l, each in zip(eigenvalues, p, strict=True))  # noqa: E741
        noise = lr**2 * (1 / batch - 1 / dim)
        p = [(1 - lr * l) ** 2 * each + noise * l * whole for l, each in zip(eigenvalues, p, strict=True)]  # noqa: E741
    return sum(l * each for l, each in zip(eigenvalues, p, strict=True)) / dim / 2  # noqa: E741


def some_lrs(n: int, steps: int, seed: int = 0) -> Any:
    return np.random.RandomState(seed).uniform(0, 1.5, (n, steps))


def test_it_keeps_the_contracts() -> None:
    assert isinstance(workload(), Workload)
    assert isinstance(workload(), Exact)
    assert isinstance(workload(), WithOptimizer)


@pytest.mark.parametrize(("dim", "batch"), [(1, 1), (8, 2), (8, 8), (5, 1)])
@pytest.mark.parametrize("steps", [0, 1, 30])
def test_the_losses_are_those_of_a_plain_loop(dim: int, batch: int, steps: int) -> None:
    lrs = some_lrs(7, steps)
    expected = [plain(each, dim, batch) for each in lrs]
    np.testing.assert_allclose(workload(dim, batch).expected_losses(lrs), expected, rtol=1e-12)


def test_without_a_step_the_loss_is_one_half() -> None:
    assert workload().expected_losses(np.empty((1, 0))).tolist() == [0.5]
    assert workload().expected_losses(np.zeros((1, 9))).tolist() == [0.5]


def test_many_runs_are_as_each_alone() -> None:
    lrs = some_lrs(2 * TOGETHER + 3, 10)
    alone = [float(workload().expected_losses(lrs[i : i + 1])[0]) for i in range(0, len(lrs), 37)]
    assert workload().expected_losses(lrs)[::37].tolist() == alone
    assert workload().expected_losses(lrs[:0]).shape == (0,)


def test_a_run_that_overflows_has_an_infinite_loss_and_the_others_theirs() -> None:
    lrs = some_lrs(3, 400)
    lrs[1] = 1e3
    losses = workload().expected_losses(lrs)
    assert np.isinf(losses).tolist() == [False, True, False]
    assert not np.isnan(workload().expected_losses(np.full((1, 400), 1e200))).any()


@pytest.mark.parametrize("steps", [1, 12])
def test_the_gradient_is_that_of_finite_differences(steps: int) -> None:
    ours, lrs, h = workload(), some_lrs(1, steps)[0], 1e-6
    loss, gradient = ours.expected_gradient(lrs)
    assert loss == pytest.approx(float(ours.expected_losses(lrs[None])[0]), rel=1e-12)
    for step in range(steps):
        either = lrs + h * np.outer([1, -1], np.eye(steps)[step])
        up, down = ours.expected_losses(either)
        assert gradient[step] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-9)


def test_every_seed_has_the_same_outcome() -> None:
    lrs = some_lrs(2, 10)
    assert workload(seed=0).expected_losses(lrs).tolist() == workload(seed=9).expected_losses(lrs).tolist()


def test_training_ends_with_the_computed_loss(tmp_path: Path) -> None:
    recipe = smoke(
        workload__name="exact-linear-regression", workload__dim=8, workload__batch_size=2, training__steps=30
    )
    schedule = PiecewiseLinear(((0, 1.2), (10, 0.7), (30, 0.0)))
    jobs = [SegmentJob(0, stop, schedule, evaluate=("validation", "test")) for stop in (30, 12)]
    with session_of(tmp_path, recipe) as session:
        first, half = session.run_batch(Batch("whole, half", jobs))
        rest = SegmentJob(12, 30, schedule, parent=half.key, evaluate=("validation", "test"))
        (second,) = session.run_batch(Batch("rest", [rest]))
    lrs = np.array([[schedule(step) for step in range(30)]])
    expected = pytest.approx(float(workload().expected_losses(lrs)[0]), rel=1e-6)
    assert first.metrics["validation"]["loss"] == first.metrics["test"]["loss"] == expected
    assert second.metrics == first.metrics  # the state goes through the checkpoint with all its bits
    assert first.train_loss is not None


def test_the_state_is_float64() -> None:
    import torch

    model = workload().model()
    assert [p.dtype for p in model.parameters()] == [torch.float64]


def test_only_held_out_splits_can_be_evaluated() -> None:
    with pytest.raises(ValueError, match="must be 'validation' or 'test', got 'training'"):
        workload().evaluate(workload().model(), "training")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dim": 0}, "dim: must be at least 1, got 0"),
        ({"batch_size": 0}, r"batch_size: must be from 1 to dim \(128\), got 0"),
        ({"batch_size": 129}, r"batch_size: must be from 1 to dim \(128\), got 129"),
    ],
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExactRegressionParams(**params)
