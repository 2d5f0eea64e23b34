"""The decision of a segment: which of its candidates is chosen, by how much, and what is to be said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Candidate, Segment, Tolerance
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.semilocal.candidates import Tried, ramp_of
from lrctl_strategies.semilocal.params import SemiLocal


def choose(p: SemiLocal, k: int, tolerance: Tolerance, jobs: Sequence[SegmentJob], tried: Tried) -> Segment:
    """The decision of segment k: the largest LR whose loss is within eps of the best (Algorithm 1, line 6)."""
    start, stop, lr = jobs[0].start, jobs[0].stop, ramp_of(jobs[0])[0]
    results, frozen_loss = tried
    each = tuple(candidate(job, results.get(i)) for i, job in enumerate(jobs))
    eps = tolerance.nats(lowest(each), frozen_loss)
    chosen = largest_within(eps, each, f"segment {k} of {p.segments} (steps {start} to {stop})")
    gap = margin(eps, each, chosen)
    notes = warnings(p, k, eps, each, chosen, starts_at_zero=lr == 0)
    return Segment(k, start, stop, eps, lr, each, chosen.lr, gap, frozen_loss, notes)


def candidate(job: SegmentJob, result: JobResult | None) -> Candidate:
    end = ramp_of(job)[1]
    if result is None:
        return Candidate(end, math.inf, "skipped", "")
    return Candidate(end, result.mean_loss, result.status, result.key)


def lowest(tried: Sequence[Candidate]) -> float:
    return min(candidate.mean_loss for candidate in tried)


def largest_within(eps: float, tried: Sequence[Candidate], where: str) -> Candidate:
    """The largest LR whose loss is at most the lowest + eps (Algorithm 1, line 6)."""
    best = lowest(tried)
    # With every loss +inf the rule would hold for all, and choose the largest LR.
    if not math.isfinite(best):
        raise NoValidCandidateError(
            f"{where}: all {len(tried)} candidates diverged, LRs {min(c.lr for c in tried):g} to "
            f"{max(c.lr for c in tried):g}; lower --max-lr or --eps, add lower LRs to --grid, "
            "or loosen divergence.margin with --set; if no loss was ever finite, check the model and its data"
        )
    return max((c for c in tried if c.mean_loss <= Tolerance(eps).limit(best)), key=lambda c: c.lr)


def margin(eps: float, tried: Sequence[Candidate], chosen: Candidate) -> float:
    """By how much one candidate's loss would have to differ to change the choice: a small one is a near-tie.

    Candidates that were stopped or skipped do not count: how far off they are is not known.
    """
    others = [c for c in tried if c is not chosen]
    falls_out = lowest(others) + eps - chosen.mean_loss if others else math.inf
    comes_in = min((c.mean_loss - lowest(tried) - eps for c in others if c.lr > chosen.lr), default=math.inf)
    return min(falls_out, comes_in)


def warnings(
    p: SemiLocal, k: int, eps: float, tried: Sequence[Candidate], chosen: Candidate, starts_at_zero: bool
) -> tuple[str, ...]:
    notes = []
    finite = [c.mean_loss for c in tried if math.isfinite(c.mean_loss)]
    spread = max(finite) - min(finite)
    if p.eps_unit == "nats" and eps > spread > 0 and not any(c.status == "stopped" for c in tried):
        notes.append(
            f"eps {eps:.3g} nats exceeds the spread {spread:.3g} of all candidates' losses, so the largest LR was "
            "taken unseen; lower --eps, or use --eps-unit progress"
        )
    if k < p.segments and chosen.lr == 0:
        following = "the last segment" if k == p.segments - 1 else f"segment {k + 1}"
        notes.append(
            f"segment {k} chose LR 0, so {following} restarts from the absolute grid with eps 0; try fewer --segments"
        )
    if starts_at_zero and len(tried) > 1 and chosen.lr == max(c.lr for c in tried):
        notes.append(f"segment {k} chose {chosen.lr:g}, the largest LR of the grid; a higher --grid may do better")
    return tuple(notes)
