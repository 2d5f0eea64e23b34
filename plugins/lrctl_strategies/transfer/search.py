"""The peak LR of a long run from short ones, with an interval.

Rungs are WSD runs of an eighth, a quarter, a half of the run. Where the best LR of each lies is told by a parabola over
the logarithm of the LR, and it is carried to the whole run by a fixed exponent: exponents that are measured from rung
to rung are told, and never used, since they do not hold further out. What it is measured to give stands in
`lrctl guide transfer`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from lrctl.contracts.horizon import EXPONENT, FEWEST, carried
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.lookahead.scoring import Scoring, batches, look
from lrctl_strategies.transfer.answer import answer, check_exponents
from lrctl_strategies.transfer.family import ratio, schedule
from lrctl_strategies.transfer.ladder import Ladder
from lrctl_strategies.transfer.line import Line, through
from lrctl_strategies.transfer.params import Transfer
from lrctl_strategies.transfer.report import Found, changed, told
from lrctl_strategies.transfer.rungs import beside, first, limited

WARMUP = 0.02
"""Share of the run in which the LR rises, where that is no more than a sixth of the shortest rung."""

UNTRAINED = "the peak LR is found: only the long run is not trained to its end"
"""Said where a budget leaves that run out."""


def transfer(p: Transfer, run: RunSpec) -> Search:
    stops = [run.steps // part for part in p.parts]
    warmup = risen(p, run.steps, stops[0])
    shape = ratio(p.family, run.steps, warmup)
    scoring = Scoring(batches(p.score_batches, stops[0]) if p.score_on == "training" else 0)
    ladder = Ladder(warmup, cuts(stops), scoring, p.max_lr)
    untrained = yield from look(scoring, run)
    ladder.spent_steps += scoring.steps

    rungs = [(yield from limited(ladder, (yield from first(ladder, stops[0], p.grid)), untrained))]
    if rungs[0].failed is not None:
        stops = stops[:1]
    scores = (yield from ladder.climb(stops[0] // 2, [rungs[0].best])) if stops[1:] else {}
    for stop in stops[1:]:
        middle = carried(rungs[-1].vertex, rungs[-1].steps, stop, EXPONENT)
        rungs += [(yield from beside(ladder, stop, middle, rungs[-1].curvature))]
        check_exponents(rungs)

    peak = answer(rungs, run).times(1.0 if rungs[0].failed else shape, p.max_lr)
    final = schedule(p.family, peak.peak, run.steps, warmup)
    line = through(rungs, peak)
    found = Found(p, run, tuple(rungs), peak, warmup, untrained, tuple(scores.values()), ladder, line)
    answered = replace(told(found), schedule=final)
    if not p.train:
        return answered
    key, left = yield from trained(final, run.steps, line, replace(answered, notes=(*answered.notes, UNTRAINED)))
    return replace(told(replace(found, left=left)), schedule=final, checkpoint=key)


def cuts(stops: Sequence[int]) -> tuple[int, ...]:
    """The steps at which trunks are cut: half of each rung, and of a run half as long as the first if that is trained.

    That one is there for what the score gains from length to length, which two rungs alone do not tell.
    """
    halves = tuple(stop // 2 for stop in stops)
    return (halves[0] // 2, *halves) if halves[1:] else halves


def risen(p: Transfer, steps: int, shortest: int) -> int:
    """The steps of warmup."""
    if shortest < FEWEST:
        raise UsageError(
            f"steps: an eighth of {steps} is {shortest}, and runs of fewer than {FEWEST} tell nothing of a long one; "
            f"raise --steps to {8 * FEWEST} at least, or use lrctl lookahead"
        )
    most = shortest // 6
    if p.warmup is not None and p.warmup > most:
        raise UsageError(
            f"--warmup {p.warmup}: must be at most {most}, a sixth of the shortest rung; lower it, or raise --steps"
        )
    return min(round(WARMUP * steps), most) if p.warmup is None else p.warmup


def trained(final: Any, steps: int, line: Line | None, so_far: SearchResult) -> Work[tuple[str | None, int | None]]:
    """Train the long run by quarters. Returns the job that ends it, and the step at which it had left the line.

    Raises:
        NoValidCandidateError: its loss was not finite any more at the end of a quarter.
    """
    key, left = None, None
    for start, stop in pairwise(steps * quarter // 4 for quarter in range(5)):
        title = f"the run of {steps} steps, from step {start}" + (f"; {changed(left)}" if left else "")
        job = SegmentJob(start, stop, final, key, stages=(stop,))
        (result,) = yield Batch(title, [job], judge=False, so_far=lambda _: so_far)
        key = result.key
        if not math.isfinite(result.stage_losses[0]):
            raise NoValidCandidateError(
                f"the run of {steps} steps diverged before step {stop}; the same command without --train tells the "
                "peak LR: lower it with --max-lr, or raise --warmup, and check the data of these steps"
            )
        if left is None and line is not None and line.left(stop, *result.stage_losses):
            left = stop
    return key, left
