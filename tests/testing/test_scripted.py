"""Searches on made-up losses."""

from __future__ import annotations

import math
from dataclasses import replace

from lrctl import testing
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch
from testing.trials import JOBS, Params, flat


def test_a_scripted_search_meets_the_landscape_it_is_given() -> None:
    found, batches = testing.play(flat, Params(), 10, lambda job: job.stop / 10)
    assert [[(job.start, job.stop) for job in batch.jobs] for batch in batches] == [[(0, 5)], [(5, 10)]]
    assert found.schedule == PiecewiseLinear(((0, 0.1),))


def test_a_scripted_loss_that_is_infinite_is_divergence() -> None:
    script = testing.Scripted(lambda job: math.inf if job.start else 1.0)
    first, second = script.run_batch(Batch("b", [JOBS[0], replace(JOBS[0], start=1)]))
    assert (first.status, first.mean_loss) == ("ok", 1.0)
    assert (second.status, second.mean_loss) == ("diverged", math.inf)
