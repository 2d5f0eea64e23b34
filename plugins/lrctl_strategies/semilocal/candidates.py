"""The candidates of a segment, and how they are tried: all at once or, in a lean search, in rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Tolerance, Work
from lrctl_strategies.semilocal.lean import first_of, next_of
from lrctl_strategies.semilocal.params import SemiLocal

Tried = tuple[dict[int, JobResult], float | None]
"""The results of a segment's candidates, by their place, and the mean loss of frozen weights where it is needed."""


def ratios(n: int) -> list[float]:
    """The 2n ratios 0/1, 1/2, ..., (n-1)/n, 1, n/(n-1), ..., 3/2, 2/1, ascending (paper, section 3.2.1).

    >>> ratios(3)
    [0.0, 0.5, 0.6666666666666666, 1.0, 1.5, 2.0]
    """
    return [i / (i + 1) for i in range(n)] + [1.0] + [(i + 1) / i for i in range(n - 1, 0, -1)]


def likely_first(count: int, start: float) -> list[int]:
    """The places of ascending candidates, those first whose loss is likely to be the lowest.

    Of ratios to the LR `start` that is the lowest, LR 0: a falling LR gains most at once. Of an absolute grid, where
    `start` is 0, it lies above the middle.

    >>> likely_first(4, 1e-3), likely_first(9, 0.0)
    ([0, 1, 2, 3], [6, 5, 7, 4, 8, 3, 2, 1, 0])
    """
    likely = 0.0 if start else 0.75 * (count - 1)
    return sorted(range(count), key=lambda place: abs(place - likely))


def candidates(p: SemiLocal, lr: float) -> list[float]:
    """The end LRs a segment tries: ratios to the LR it starts at, or the absolute grid where that is 0."""
    ends = [ratio * lr for ratio in ratios(p.grid_size)] if lr else sorted(p.grid)
    return [end for end in ends if p.max_lr is None or end <= p.max_lr]


def ramp(start: int, stop: int, a: float, b: float, parent: str | None) -> SegmentJob:
    """Train [start, stop) with a straight line from LR a to LR b (Algorithm 1, line 4)."""
    return SegmentJob(start, stop, PiecewiseLinear(((start, a), (stop, b))), parent)


def ramp_of(job: SegmentJob) -> tuple[float, float]:
    assert isinstance(job.schedule, PiecewiseLinear)
    return job.schedule(job.start), job.schedule(job.stop)


def try_out(p: SemiLocal, jobs: Sequence[SegmentJob], tolerance: Tolerance, asked: Batch) -> Work[Tried]:
    """Try a segment's candidates: all at once or, in a lean search, in rounds, until the choice is made.

    Each round names all jobs so far: what counts as diverged and what can still be chosen depends on the others.
    """
    lr, ends = ramp_of(jobs[0])[0], [ramp_of(job)[1] for job in jobs]
    # What share is lost can be told only once the loss of the weights as they are, with all LRs 0, is known.
    freeze = replace(ramp(jobs[0].start, jobs[0].stop, 0.0, 0.0, jobs[0].parent), checkpoint=False)
    frozen = [freeze] if tolerance.eps and tolerance.share else []
    tried: dict[int, JobResult] = {}
    frozen_loss, order = None, likely_first(len(jobs), lr)
    wanted = first_of(ends, lr) if p.lean else order
    while wanted:
        places = [i for i in order if i in wanted or i in tried]
        keep = frozenset(result.key for result in tried.values())
        results = yield replace(asked, jobs=[*frozen, *(jobs[i] for i in places)], keep=keep)
        frozen_loss = results[0].mean_loss if frozen else None
        tried = dict(zip(places, results[len(frozen) :], strict=True))
        losses = {i: result.mean_loss for i, result in tried.items()}
        wanted = next_of(losses, len(jobs), partial(tolerance.limit, frozen=frozen_loss)) if p.lean else []
    return tried, frozen_loss
