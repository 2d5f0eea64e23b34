from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts.workload import Prepared, Scored, Workload
from lrctl_workloads.regression.linear import LinearRegression, LinearRegressionParams


def workload(seed: int = 0, **params: Any) -> LinearRegression:
    return LinearRegression(LinearRegressionParams(**params), seed)


def test_it_keeps_the_contract() -> None:
    assert isinstance(workload(), Workload)
    assert isinstance(workload(), Scored)
    assert not isinstance(workload(), Prepared)


def test_batches_are_a_function_of_seed_and_step() -> None:
    x, y = workload().batch(5)
    assert x.shape == (8, 16)
    assert y.shape == (8,)
    assert x.dtype == y.dtype == torch.float32
    assert torch.equal(workload().batch(5)[0], x)
    assert not torch.equal(workload().batch(6)[0], x)
    assert not torch.equal(workload(seed=1).batch(5)[0], x)


def test_no_two_streams_share_a_draw() -> None:
    ours = workload()
    draws = [*map(ours.batch, range(20)), *map(ours.score_batch, range(20))]
    draws += [ours.draw(split, 0, 8) for split in ("validation", "test")]
    assert len({x[0, 0].item() for x, _ in draws}) == len(draws)


def test_inputs_have_a_power_law_spectrum() -> None:
    x, _ = workload(dim=4).draw("training", 0, 100_000)
    np.testing.assert_allclose(np.cov(x.numpy().T), np.diag([1, 1 / 2, 1 / 3, 1 / 4]), atol=0.02)


def test_the_first_loss_is_half_the_variance_of_the_targets() -> None:
    ours = workload()
    x, y = ours.draw("test", 0, 1024)
    model = ours.model()
    assert torch.equal(model(x), torch.zeros(1024, 1))
    assert ours.evaluate(model, "test")["loss"] == pytest.approx(float(y.square().mean()) / 2)


def test_training_reaches_the_noise() -> None:
    ours = workload()
    model = ours.model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for step in range(1500):
        optimizer.zero_grad()
        torch.autograd.backward(ours.loss(model, ours.batch(step)))
        optimizer.step()
    for split in ("validation", "test"):
        assert ours.evaluate(model, split)["loss"] == pytest.approx(0.005, rel=0.5)


def test_evaluation_leaves_random_numbers_and_gradients_alone() -> None:
    ours, random = workload(), torch.get_rng_state()
    model = ours.model()
    torch.set_rng_state(random)
    assert ours.evaluate(model, "validation") == ours.evaluate(model, "validation")
    assert ours.evaluate(model, "validation") != ours.evaluate(model, "test")
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in model.parameters())


def test_only_held_out_splits_can_be_evaluated() -> None:
    with pytest.raises(ValueError, match="must be 'validation' or 'test', got 'training'"):
        workload().evaluate(workload().model(), "training")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dim": 0}, "dim: must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"noise": -0.1}, r"noise: must be finite and at least 0, got -0\.1"),
        ({"noise": math.nan}, "noise: must be finite and at least 0, got nan"),
        ({"noise": math.inf}, "noise: must be finite and at least 0, got inf"),
    ],
)
def test_parameters_out_of_range_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workload(**params)
