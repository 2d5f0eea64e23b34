"""Semi-local search (Algorithm 1 of the semi-local search paper), and local search, which is eps = 0."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Candidate, RunSpec, Search, SearchResult, Segment, Tolerance
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.grids import likely_first, ratios
from lrctl_strategies.semilocal.lean import first_of, next_of
from lrctl_strategies.semilocal.params import Local, SemiLocal, allowed

NEXT = "lrctl local with the same recipe and flags, which is this search with eps 0, or --tune-eps, which finds eps"


def local(p: Local, run: RunSpec) -> Search:
    """Local search: every segment takes the LR with the lowest mean loss."""
    found = yield from semilocal(SemiLocal(eps=0.0, **asdict(p)), run)
    advice = "lrctl semilocal --eps 0.48 --decay with the same recipe, which gives up some loss now for a larger LR"
    return replace(found, next=advice, summary={})


def semilocal(p: SemiLocal, run: RunSpec) -> Search:
    """Algorithm 1: semi-local LR search."""
    tau = boundaries(p.segments, run.steps)
    lr, checkpoint = 0.0, None
    trace: tuple[Segment, ...] = ()
    for k in range(1, p.segments + 1):
        tolerance = Tolerance(eps_at(p, k, lr), share=p.eps_unit == "progress")
        jobs = [ramp(tau[k - 1], tau[k], lr, end, checkpoint) for end in candidates(p, lr)]
        tried = yield from try_out(
            p, jobs, tolerance, Batch(title(p, k, tolerance.eps), [], trace, tolerance=tolerance)
        )
        segment = choose(p, k, tolerance, jobs, tried)
        lr, checkpoint, trace = segment.chosen, segment.winner.key, (*trace, segment)
    knots = ((0, 0.0), *((segment.stop, segment.chosen) for segment in trace))
    return SearchResult(
        PiecewiseLinear(knots),
        trace[-1].winner.key,
        trace,
        chosen_by="training loss",
        next=NEXT,
        summary={"eps_unit": p.eps_unit},
    )


def title(p: SemiLocal, k: int, eps: float) -> str:
    """What a batch decides, with eps in its own unit."""
    return f"segment {k} of {p.segments}, eps {eps:.3g} {'of progress' if p.eps_unit == 'progress' else 'nats'}"


@dataclass(frozen=True, slots=True)
class Tried:
    """The results of a segment's candidates, by their place, and the mean loss of frozen weights where it is needed."""

    results: Mapping[int, JobResult]
    frozen_loss: float | None = None


def try_out(
    p: SemiLocal, jobs: Sequence[SegmentJob], tolerance: Tolerance, asked: Batch
) -> Generator[Batch, list[JobResult], Tried]:
    """Try a segment's candidates: all at once or, in a lean search, in rounds, until the choice is made.

    Each round names all jobs so far: what counts as diverged and what can still be chosen depends on the others.
    """
    lr, ends = ramp_of(jobs[0])[0], [ramp_of(job)[1] for job in jobs]
    # What share is lost can be told only once the frozen weights' loss is known.
    frozen = [freeze(jobs[0].start, jobs[0].stop, jobs[0].parent)] if tolerance.eps and tolerance.share else []
    tried, order = Tried({}), likely_first(len(jobs), lr)
    wanted = first_of(ends, lr) if p.lean else order
    while wanted:
        places = [i for i in order if i in wanted or i in tried.results]
        keep = frozenset(result.key for result in tried.results.values())
        results = yield replace(asked, jobs=[*frozen, *(jobs[i] for i in places)], keep=keep)
        frozen_loss = results[0].mean_loss if frozen else None
        tried = Tried(dict(zip(places, results[len(frozen) :], strict=True)), frozen_loss)
        losses = {i: result.mean_loss for i, result in tried.results.items()}
        wanted = next_of(losses, len(jobs), partial(tolerance.limit, frozen=frozen_loss)) if p.lean else []
    return tried


def choose(p: SemiLocal, k: int, tolerance: Tolerance, jobs: Sequence[SegmentJob], tried: Tried) -> Segment:
    """The decision of segment k: the largest LR whose loss is within eps of the best (Algorithm 1, line 6)."""
    start, stop, lr = jobs[0].start, jobs[0].stop, ramp_of(jobs[0])[0]
    each = tuple(candidate(job, tried.results.get(i)) for i, job in enumerate(jobs))
    eps = tolerance.nats(lowest(each), tried.frozen_loss)
    chosen = largest_within(eps, each, f"segment {k} of {p.segments} (steps {start} to {stop})")
    gap = margin(eps, each, chosen)
    notes = warnings(p, k, eps, each, chosen, starts_at_zero=lr == 0)
    return Segment(k, start, stop, eps, lr, each, chosen.lr, gap, tried.frozen_loss, notes)


def candidate(job: SegmentJob, result: JobResult | None) -> Candidate:
    """A candidate from its job's result; None if it was not tried."""
    end = ramp_of(job)[1]
    if result is None:
        return Candidate(end, math.inf, "skipped", "")
    return Candidate(end, result.mean_loss, result.status, result.key)


def boundaries(segments: int, steps: int) -> list[int]:
    """tau_0 = 0, ..., tau_K = steps, as even as whole steps allow.

    Raises:
        UsageError: there are more segments than steps.
    """
    if segments > steps:
        raise UsageError(
            f"segments: {segments} is more than the run's {steps} steps; lower --segments or raise --steps"
        )
    return [k * steps // segments for k in range(segments + 1)]


def candidates(p: SemiLocal, lr: float) -> list[float]:
    """The end LRs a segment tries: ratios to the LR it starts at, or the absolute grid where that is 0."""
    return allowed([ratio * lr for ratio in ratios(p.grid_size)] if lr else sorted(p.grid), p.max_lr)


def eps_at(p: SemiLocal, k: int, lr: float) -> float:
    """eps_k as given, in its own unit: 0 in the first and last segment and where the LR starts at 0."""
    if k in (1, p.segments) or lr == 0:
        return 0.0
    return p.eps * (p.segments - k) / (p.segments - 1) if p.decay else p.eps


def ramp(start: int, stop: int, a: float, b: float, parent: str | None) -> SegmentJob:
    """Train [start, stop) with a straight line from LR a to LR b (Algorithm 1, line 4)."""
    return SegmentJob(start, stop, PiecewiseLinear(((start, a), (stop, b))), parent)


def ramp_of(job: SegmentJob) -> tuple[float, float]:
    """The LRs at the ends of a job's ramp."""
    assert isinstance(job.schedule, PiecewiseLinear)
    return job.schedule(job.start), job.schedule(job.stop)


def freeze(start: int, stop: int, parent: str | None) -> SegmentJob:
    """Measure the weights as they are on the segment's batches: all LRs are 0."""
    return replace(ramp(start, stop, 0.0, 0.0, parent), checkpoint=False)


def lowest(tried: Sequence[Candidate]) -> float:
    """The lowest mean loss; +inf if every candidate diverged."""
    return min(candidate.mean_loss for candidate in tried)


def largest_within(eps: float, tried: Sequence[Candidate], where: str) -> Candidate:
    """The largest LR whose loss is at most the lowest + eps (Algorithm 1, line 6).

    Raises:
        NoValidCandidateError: every candidate diverged.
    """
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
    """What the user should know about a choice."""
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
