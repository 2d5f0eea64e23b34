"""The final training loss, and what a session leaves alone."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lrctl.analysis.smoothing import final_train_loss
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch
from lrctl.engine.prepare import resolve_device
from lrctl.errors import UsageError
from searches import session_of, small


def smoothed_end(losses: list[float]) -> float:
    """The last value of a Gaussian filter of 10 steps, cut at 40, the series reflected at its ends."""
    n = len(losses)
    weights = {offset: math.exp(-0.5 * (offset / 10) ** 2) for offset in range(-40, 41)}
    places = {offset: (n - 1 + offset) % (2 * n) for offset in weights}
    values = {offset: losses[at if at < n else 2 * n - 1 - at] for offset, at in places.items()}
    return sum(weights[offset] * values[offset] for offset in weights) / sum(weights.values())


@pytest.mark.parametrize("n", [1, 2, 5, 40, 41, 300])
def test_the_final_train_loss_is_the_end_of_the_smoothed_losses(n: int) -> None:
    losses = np.random.default_rng(n).normal(size=n).astype(np.float32)
    assert final_train_loss(losses) == pytest.approx(smoothed_end(losses.tolist()), rel=1e-12)


KNOWN = {"constant": ([2.0] * 7, 2.0), "last of two": ([0.0] * 99 + [1.0], 0.0795935)}


@pytest.mark.parametrize(("losses", "expected"), KNOWN.values(), ids=KNOWN)
def test_the_final_train_loss_of_known_series(losses: list[float], expected: float) -> None:
    assert final_train_loss(np.array(losses)) == pytest.approx(expected, abs=1e-6)


def test_a_device_that_torch_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--device warp: cannot be used here: .*; choose cpu, or leave it out"):
        resolve_device("warp")


def test_a_search_does_not_keep_the_lr_of_each_step_of_its_jobs(place: Path) -> None:
    """Over many long jobs these would be most of what a search holds in memory."""
    with session_of(place, small()) as session:
        jobs = [SegmentJob(0, 8, PiecewiseLinear(((0, 0.0), (8, lr)))) for lr in (0.1, 0.2)]
        session.run_batch(Batch("", jobs))
        assert [vars(job).keys() & {"lrs"} for job in session.runner.seen.values()] == [set(), set()]
