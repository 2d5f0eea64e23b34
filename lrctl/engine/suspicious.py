"""Losses that tell that something is wrong with a workload."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobRecord
from lrctl.errors import UsageError

ODD = 2.0
"""A loss that is so many times another, or as many times less, is taken to be of another kind."""


def odd_loss(validation: float, first: float) -> str:
    """What to say of a validation loss before any training that is far from the first training loss; else nothing."""
    if not 0 < validation < math.inf or not first > 0 or 1 / ODD < validation / first < ODD:
        return ""
    return (
        f"the untrained model has validation loss {validation:.4g} and first training loss {first:.4g}, which are "
        "means of the same kind in a sound workload: an accuracy that evaluate() returns would be minimised, and a "
        "loss() that is a sum wants evaluate() to be one; `lrctl check` tells more"
    )


def lrs_matter(jobs: Sequence[SegmentJob], records: Sequence[JobRecord]) -> bool:
    """Whether jobs with different LRs have different losses.

    Where they are the same to the bit, the LRs were not used: unless the loss is 0, where nothing moves any more.

    Raises:
        UsageError: candidates trained with different LRs have the same losses.
    """
    # The last LR of a job decides none of its losses.
    found = {
        tuple(job.lrs[:-1]): record.mean_loss
        for job, record in zip(jobs, records, strict=True)
        if job.lrs and not job.frozen and record.status == "ok" and not record.non_finite
    }
    different = {*found.values()}
    if len(found) > 1 and len(different) == 1 and different != {0.0}:
        raise UsageError(
            f"{len(found)} candidates with different LRs have the same mean loss to the bit: the LR is not used; see "
            "that the optimizer takes the lr of its param groups, and moves what the loss depends on"
        )
    return len(different) > 1
