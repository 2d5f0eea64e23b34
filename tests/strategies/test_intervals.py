"""Intervals against plain computations."""

from __future__ import annotations

import math
import random
from statistics import median

import numpy as np
import pytest

from lrctl_strategies.shape.charts import band
from lrctl_strategies.shape.result import RESAMPLES, of_median


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_bootstrap_interval_is_the_plain_one_up_to_its_resamples(n: int) -> None:
    """Against all n^n resamples of a few values, or many random ones of more."""
    values = [random.Random(n).gauss(0, 1) for _ in range(n)]
    draw = random.Random(1)
    plain = sorted(median(draw.choices(values, k=n)) for _ in range(20_000))
    found = of_median(values)
    assert found
    assert found[0] <= median(values) <= found[1]
    for end, share in zip(found, (0.025, 0.975), strict=True):
        below = sum(value < end - 1e-12 for value in plain) / len(plain)
        up_to = sum(value <= end + 1e-12 for value in plain) / len(plain)
        error = 4 * math.sqrt(share * (1 - share) / RESAMPLES)
        assert below - error <= share <= up_to + error


def test_the_interval_moves_and_grows_with_the_values() -> None:
    values = [0.3, 0.1, 0.5, 0.2, 0.9]
    low, high = of_median(values) or (0.0, 0.0)
    assert of_median([10 + 2 * value for value in values]) == pytest.approx((10 + 2 * low, 10 + 2 * high))
    assert of_median([0.25] * 6) == (0.25, 0.25)


def test_the_same_values_have_the_same_interval_and_no_stream_is_touched() -> None:
    state = np.random.get_state()[1].tolist()  # type: ignore[index]
    assert of_median([1.0, 2.0, 4.0]) == of_median([1.0, 2.0, 4.0])
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.inf], [1.0, math.nan, 2.0]], ids=str)
def test_there_is_no_interval_of_too_few_or_diverged_values(values: list[float]) -> None:
    assert of_median(values) is None


@pytest.mark.parametrize("n", [1, 20, 1500])
def test_the_band_is_that_of_dvoretzky_kiefer_and_wolfowitz(n: int) -> None:
    assert 2 * math.exp(-2 * n * band(n) ** 2) == pytest.approx(0.05)


def test_the_band_holds_the_true_distribution_function_in_at_least_95_of_100_samples() -> None:
    n, held = 50, 0
    for seed in range(400):
        values = np.sort(np.random.RandomState(seed).random_sample(n))
        steps = np.arange(n + 1) / n
        held += bool(max((steps[1:] - values).max(), (values - steps[:-1]).max()) <= band(n))
    assert held >= 0.93 * 400
