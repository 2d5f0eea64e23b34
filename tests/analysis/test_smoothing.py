"""The Gaussian filter: the numbers by definition, and those of scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from lrctl.analysis.smoothing import final_train_loss, smoothed

LOSSES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=150).map(np.array)


@pytest.mark.parametrize("n", [1, 5, 39, 40, 41, 200])
def test_the_final_train_loss_is_the_last_value_of_a_gaussian_filter(n: int) -> None:
    losses = np.random.RandomState(n).rand(n).astype(np.float32)
    # By the definition: each weight meets the loss that the endlessly reflected series has at its place.
    weighted = [(np.exp(-0.5 * (d / 10) ** 2), reflected(losses, n - 1 + d)) for d in range(-40, 41)]
    expected = sum(w * x for w, x in weighted) / sum(w for w, _ in weighted)
    assert final_train_loss(losses) == pytest.approx(expected, rel=1e-12)


def reflected(losses: Any, place: int) -> float:
    """d c b a | a b c d | d c b a"""
    n = len(losses)
    place %= 2 * n
    return float(losses[place if place < n else 2 * n - 1 - place])


def test_the_final_train_loss_of_a_constant_is_the_constant() -> None:
    assert final_train_loss(np.full(100, 0.75, np.float32)) == pytest.approx(0.75, rel=1e-12)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=150))
def test_the_final_train_loss_of_finite_losses_is_the_last_of_the_smoothed_ones_to_the_last_bit(
    values: list[float],
) -> None:
    losses = np.array(values, np.float32)
    weights = np.exp(-0.5 * (np.arange(-40, 41) / 10) ** 2)
    assert final_train_loss(losses) == smoothed(losses)[-1]
    # Stored results have this number, so it stays.
    assert final_train_loss(losses) == np.pad(losses.astype("f8"), 40, mode="symmetric")[-81:] @ (
        weights / weights.sum()
    )


def test_the_final_train_loss_is_that_of_the_finite_losses_where_they_are() -> None:
    losses = np.array([1.0, 3.0, np.nan])
    seen = [(np.exp(-0.5 * (d / 10) ** 2), reflected(losses, 2 + d)) for d in range(-40, 41)]
    finite = [(w, x) for w, x in seen if np.isfinite(x)]
    expected = sum(w * x for w, x in finite) / sum(w for w, _ in finite)
    assert final_train_loss(losses) == pytest.approx(expected, rel=1e-12)
    early = np.where(np.arange(100) == 3, np.inf, np.linspace(5, 1, 100))
    assert final_train_loss(early) == smoothed(early)[-1] == final_train_loss(early[20:])


@pytest.mark.parametrize("losses", [[], [np.nan], [np.inf, -np.inf], [1.0] * 50 + [np.nan] * 41], ids=len)
def test_without_finite_losses_at_the_end_there_is_no_final_train_loss(losses: list[float]) -> None:
    assert final_train_loss(np.array(losses)) == np.inf


@given(LOSSES)
def test_finite_losses_are_smoothed_as_scipy_does_it_and_end_at_the_final_train_loss(losses: Any) -> None:
    assert smoothed(losses) == pytest.approx(gaussian_filter1d(losses, 10), rel=1e-9, abs=1e-9)
    assert smoothed(losses)[-1] == pytest.approx(final_train_loss(losses), rel=1e-9, abs=1e-9)


@given(LOSSES, st.data())
def test_losses_that_are_not_finite_leave_gaps_and_spoil_no_neighbour(losses: Any, data: st.DataObject) -> None:
    lost = np.array(data.draw(st.lists(st.booleans(), min_size=len(losses), max_size=len(losses))))
    holed = np.where(lost, data.draw(st.sampled_from([np.nan, np.inf, -np.inf])), losses)
    found = smoothed(holed)
    assert np.isnan(found).tolist() == lost.tolist()
    if not lost.all():
        assert losses[~lost].min() - 1e-6 <= np.nanmin(found) <= np.nanmax(found) <= losses[~lost].max() + 1e-6


def test_a_gap_takes_its_weight_with_it() -> None:
    losses = np.array([1.0, np.nan, 3.0])
    seen = [(np.exp(-0.5 * (d / 10) ** 2), reflected(losses, d)) for d in range(-40, 41)]
    finite = [(w, x) for w, x in seen if np.isfinite(x)]
    assert smoothed(losses)[0] == pytest.approx(sum(w * x for w, x in finite) / sum(w for w, _ in finite), rel=1e-12)
