"""When a job counts as diverged.

Paper, Appendix A; but the second rule looks at a tenth of the losses, not at one batch, and its margin is in units of
their spread, not in nats: a loss in another unit, such as a sum over the batch, is judged alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobRecord
from lrctl.recipe.schema import Divergence


def spread(runs: Iterable[Sequence[JobRecord]]) -> float:
    """How far apart losses lie: the median, over runs, of the standard deviation of all finite losses of its jobs."""
    return median([deviation(run) for run in runs] or [0.0])


def deviation(run: Sequence[JobRecord]) -> float:
    """The standard deviation of the losses of several jobs, from those of each and their means."""
    parts = [(r.steps - r.non_finite, r.mean_loss, r.deviation) for r in run if math.isfinite(r.mean_loss)]
    n = sum(each for each, _, _ in parts)
    if not n:
        return 0.0
    mean = sum(each * own for each, own, _ in parts) / n
    return math.sqrt(sum(each * (within**2 + (own - mean) ** 2) for each, own, within in parts) / n)


def sound(rule: Divergence, record: JobRecord, spread: float) -> bool:
    """Whether a job that was trained to its end has not diverged, whatever became of the others of its batch."""
    few = math.isfinite(record.mean_loss) and record.non_finite <= rule.max_non_finite
    return few and record.tail_loss <= record.mean_loss + rule.margin * spread


def judge(
    rule: Divergence, jobs: Sequence[SegmentJob], records: Sequence[JobRecord], spread: float
) -> tuple[list[bool], str | None]:
    """Which jobs of a batch diverged, and a note if the second rule was dropped.

    All jobs of a batch see the same data, so one hard batch at the end can make the second rule reject all
    of them at once; then only the first rule counts. Jobs whose weights never move cannot diverge.
    """
    moved = [r.steps > 0 and not job.frozen for job, r in zip(jobs, records, strict=True)]
    numeric = [r.steps > 0 and r.non_finite > rule.max_non_finite for r in records]
    rising = [m and not r.tail_loss <= r.mean_loss + rule.margin * spread for m, r in zip(moved, records, strict=True)]
    candidates = [(n, r) for m, n, r in zip(moved, numeric, rising, strict=True) if m]
    note = None
    if all(n or r for n, r in candidates) and not all(n for n, _ in candidates):
        rising = [bad and not math.isfinite(r.tail_loss) for bad, r in zip(rising, records, strict=True)]
        note = (
            f"the last tenth of the losses was more than {rule.margin:g} times their spread above the mean for every "
            "candidate, so only non-finite losses counted as divergence"
        )
    return [n or r for n, r in zip(numeric, rising, strict=True)], note
