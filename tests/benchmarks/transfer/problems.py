"""27 problems whose runs can be computed: the expected loss of SGD on least squares with noisy labels.

Inputs have eigenvalues l_k = k^-a; the error along eigenvector k starts at p_k with l_k p_k = k^-(1 + s a), and labels
have noise of variance v. An update with LR lr and batches of B samples makes it

    p_k <- (1 - lr l_k)^2 p_k + lr^2 l_k (sum_j l_j p_j + v) / B,

and the loss is sum_k l_k p_k / 2. Small noise leaves the LR to divergence, much noise to the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch
from lrctl.testing import SPEC

DIM, BATCH = 300, 8
SPECTRUM, SOURCE, NOISE = (1.25, 1.5, 2.0), (0.25, 0.5, 1.0), (0.1, 1.0, 10.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """Least squares with the exponents a and s, and labels of noise v."""

    spectrum: float
    source: float
    noise: float

    def losses(self, lrs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The loss after the last step of each of n runs, inf where it overflows: (n, steps) to (n,)."""
        k = np.arange(1.0, DIM + 1)
        eigenvalues = k**-self.spectrum
        # l_k p_k of each run.
        q = np.tile(k ** -(1 + self.source * self.spectrum), (len(lrs), 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for lr in lrs.T[:, :, None]:
                added = lr**2 * (q.sum(1, keepdims=True) + self.noise) / BATCH
                q = (1 - lr * eigenvalues) ** 2 * q + added * eigenvalues**2
            loss = q.sum(1) / 2
        return np.where(np.isfinite(loss), loss, np.inf)

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """The results of a batch, of which only those that are scored tell a loss."""
        asked = [job for job in batch.jobs if job.score_batches]
        losses = iter(self.of_jobs(asked) if asked else [])
        return [answer(job, next(losses) if job.score_batches else 0.0) for job in batch.jobs]

    def of_jobs(self, jobs: Sequence[SegmentJob]) -> list[float]:
        """The losses at the ends of jobs that stop together, of runs with their schedules from the first step on."""
        lrs = [[job.schedule(step) for step in range(job.stop)] for job in jobs]  # type: ignore[call-arg]
        return list(map(float, self.losses(np.array(lrs))))


def answer(job: SegmentJob, loss: float) -> JobResult:
    return JobResult(job.key(SPEC), "ok", loss, job.steps, scores=(loss,) * job.score_batches)


def problems() -> Iterator[Problem]:
    return (Problem(*each) for each in product(SPECTRUM, SOURCE, NOISE))
