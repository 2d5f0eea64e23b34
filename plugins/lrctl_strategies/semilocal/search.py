"""Semi-local search (Algorithm 1 of the semi-local search paper), and local search, which is eps = 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, Segment, Tolerance
from lrctl.errors import UsageError
from lrctl_strategies.semilocal.candidates import candidates, ramp, try_out
from lrctl_strategies.semilocal.choice import choose
from lrctl_strategies.semilocal.params import Local, SemiLocal

NEXT = "lrctl local with the same recipe and flags, which is this search with eps 0, or --tune-eps, which finds eps"


def local(p: Local, run: RunSpec) -> Search:
    result = yield from semilocal(SemiLocal(eps=0.0, **asdict(p)), run)
    advice = "lrctl semilocal --eps 0.48 --decay with the same recipe, which gives up some loss now for a larger LR"
    return replace(result, next=advice, summary={})


def semilocal(p: SemiLocal, run: RunSpec) -> Search:
    tau = boundaries(p.segments, run.steps)
    lr, checkpoint = 0.0, None
    trace: tuple[Segment, ...] = ()
    for k in range(1, p.segments + 1):
        tolerance = Tolerance(eps_at(p, k, lr), share=p.eps_unit == "progress")
        jobs = [ramp(tau[k - 1], tau[k], lr, end, checkpoint) for end in candidates(p, lr)]
        unit = "of progress" if tolerance.share else "nats"
        title = f"segment {k} of {p.segments}, eps {tolerance.eps:.3g} {unit}"
        asked = Batch(title, [], trace, tolerance=tolerance, so_far=partial(wound_down, trace, run.steps))
        tried = yield from try_out(p, jobs, tolerance, asked)
        segment = choose(p, k, tolerance, jobs, tried)
        lr, checkpoint, trace = segment.chosen, segment.winner.key, (*trace, segment)
    return SearchResult(
        PiecewiseLinear(path(trace)),
        trace[-1].winner.key,
        trace,
        chosen_by="training loss",
        next=NEXT,
        summary={"eps_unit": p.eps_unit},
    )


def path(trace: Sequence[Segment]) -> tuple[tuple[int, float], ...]:
    """The knots of the path that the decisions make."""
    return ((0, 0.0), *((segment.stop, segment.chosen) for segment in trace))


def wound_down(trace: Sequence[Segment], steps: int, _: object = None) -> SearchResult | None:
    """The path so far, its last LR held, and wound down to 0 over the last tenth of the run; None before the first."""
    if not trace:
        return None
    last, fall = trace[-1], max(trace[-1].stop, steps - math.ceil(steps / 10))
    held = ((fall, last.chosen),) if fall > last.stop else ()
    note = (
        f"the schedule is searched up to step {last.stop}; from there its LR is held until step {fall} and falls to 0 "
        "at the end, which is a guess: nothing was trained with it"
    )
    knots = (*path(trace), *held, (steps, 0.0))
    return SearchResult(PiecewiseLinear(knots), None, tuple(trace), chosen_by="training loss", notes=(note,))


def boundaries(segments: int, steps: int) -> list[int]:
    """tau_0 = 0, ..., tau_K = steps, as even as whole steps allow."""
    if segments > steps:
        raise UsageError(
            f"segments: {segments} is more than the run's {steps} steps; lower --segments or raise --steps"
        )
    # In whole numbers: no boundary hangs on how a float is rounded.
    return [k * steps // segments for k in range(segments + 1)]


def eps_at(p: SemiLocal, k: int, lr: float) -> float:
    """eps_k as given, in its own unit: 0 in the first and last segment and where the LR starts at 0."""
    if k in (1, p.segments) or lr == 0:
        return 0.0
    return p.eps * (p.segments - k) / (p.segments - 1) if p.decay else p.eps
