"""By how much two starts of the same job of a program differ, and which choices are closer than that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, Segment

CLOSE = 2.0
"""A choice is a near-tie where its margin is no more than so many times what two starts differ by."""

DIVERGED = (
    "the job of the first choice diverged when it was started once more, so by how much two starts differ is not "
    "known, and no choice is marked as a near-tie; any may go the other way the next time: try lrctl check --program"
)


def another_start(trace: Sequence[Segment], jobs: Mapping[str, SegmentJob]) -> Batch | None:
    """The job that the first choice fell on, to be done once more; None where nothing was chosen by a mean loss."""
    if not any(math.isfinite(segment.margin) for segment in trace):
        return None
    job = replace(jobs[trace[0].winner.key], repeat=1, checkpoint=False, stop_above=None)
    return Batch("the same job once more, for what two starts differ by", [job], beside=True)


def told_apart(trace: Sequence[Segment], mean_loss: float) -> tuple[tuple[Segment, ...], str]:
    """The decisions, with a note at each near-tie, and a note on all; `mean_loss` is what the other start gave."""
    difference = abs(mean_loss - trace[0].winner.mean_loss)
    if not math.isfinite(difference):
        return tuple(trace), DIVERGED
    if not difference:
        return tuple(trace), "two starts of the same job gave the same mean loss to the bit"
    near = [segment.k for segment in trace if segment.margin <= CLOSE * difference]
    told = f"two starts of the same job differ by {difference:.2g} in their mean loss"
    if not near:
        return tuple(trace), f"{told}; no choice is closer than {CLOSE:g} times that"
    mark = f"a near-tie, within {CLOSE:g} times what two starts of the same job differ by"
    marked = tuple(replace(s, notes=(*s.notes, f"segment {s.k}: {mark}")) if s.k in near else s for s in trace)
    return marked, f"{told}; a choice that is a near-tie may go the other way the next time"
