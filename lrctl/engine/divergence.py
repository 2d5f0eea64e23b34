"""When a job counts as diverged (paper, Appendix A; the second rule looks at a tenth, not at one batch)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.recipe.schema import Divergence


def sound(rule: Divergence, result: JobResult) -> bool:
    """Whether a job that was trained to its end has not diverged, whatever became of the others of its batch."""
    rising = not result.tail_loss <= result.mean_loss + rule.margin
    return math.isfinite(result.mean_loss) and result.non_finite <= rule.max_non_finite and not rising


def judge(
    rule: Divergence, jobs: Sequence[SegmentJob], results: Sequence[JobResult]
) -> tuple[list[JobResult], str | None]:
    """The results of a batch with the diverged ones marked, and a note if the second rule was dropped.

    All jobs of a batch see the same data, so one hard batch at the end can make the second rule reject all
    of them at once; then only the first rule counts. Jobs whose weights never move cannot diverge.
    """
    numeric = [r.steps > 0 and r.non_finite > rule.max_non_finite for r in results]
    rising = [
        r.steps > 0 and not job.frozen and not r.tail_loss <= r.mean_loss + rule.margin
        for job, r in zip(jobs, results, strict=True)
    ]
    training = [i for i, (job, r) in enumerate(zip(jobs, results, strict=True)) if r.steps and not job.frozen]
    note = None
    if training and all(numeric[i] or rising[i] for i in training) and not all(numeric[i] for i in training):
        rising = [bad and not math.isfinite(r.tail_loss) for bad, r in zip(rising, results, strict=True)]
        note = (
            f"the last tenth of the losses was more than {rule.margin:g} above the mean for every candidate, "
            "so only non-finite losses counted as divergence"
        )
    judged = [
        replace(r, status="diverged", mean_loss=math.inf) if numeric[i] or rising[i] else r
        for i, r in enumerate(results)
    ]
    return judged, note
