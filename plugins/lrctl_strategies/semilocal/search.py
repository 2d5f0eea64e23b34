"""Semi-local search (Algorithm 1 of the semi-local search paper), and local search, which is eps = 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, Segment, Tolerance
from lrctl.errors import UsageError
from lrctl_strategies.reference import beside_plain_run
from lrctl_strategies.semilocal.candidates import candidates, ramp, try_out
from lrctl_strategies.semilocal.choice import choose
from lrctl_strategies.semilocal.params import Local, SemiLocal

NEXT = "lrctl lookahead with the same recipe, which judges an LR by the end of the run, not by its segment"


def local(p: Local, run: RunSpec) -> Search:
    found = yield from semilocal(SemiLocal(eps=0.0, **asdict(p)), run)
    return (yield from beside_plain_run(p, replace(found, summary={}), found.trace[0].chosen, run))


def semilocal(p: SemiLocal, run: RunSpec) -> Search:
    tau = boundaries(p.segments, run)
    lr, checkpoint = run.lr, run.checkpoint
    trace: tuple[Segment, ...] = ()
    for k in range(1, p.segments + 1):
        tolerance = Tolerance(eps_at(p, k, lr), share=p.eps_unit == "progress")
        jobs = [ramp(tau[k - 1], tau[k], lr, end, checkpoint) for end in candidates(p, lr)]
        unit = "of progress" if tolerance.share else "nats"
        title = f"segment {k} of {p.segments}, eps {tolerance.eps:.3g} {unit}"
        asked = Batch(title, [], trace, tolerance=tolerance, so_far=partial(wound_down, trace, run))
        tried = yield from try_out(p, jobs, tolerance, asked)
        segment = choose(p, k, tolerance, jobs, tried)
        lr, checkpoint, trace = segment.chosen, segment.winner.key, (*trace, segment)
    return SearchResult(
        PiecewiseLinear(path(trace, run)),
        trace[-1].winner.key,
        trace,
        chosen_by="training loss",
        next=NEXT,
        summary={"eps_unit": p.eps_unit},
    )


def path(trace: Sequence[Segment], run: RunSpec) -> tuple[tuple[int, float], ...]:
    """The knots of the path that the decisions make."""
    return ((run.start, run.lr), *((segment.stop, segment.chosen) for segment in trace))


def wound_down(trace: Sequence[Segment], run: RunSpec, _: object = None) -> SearchResult | None:
    """The path so far, its last LR held, and wound down to 0 over the last tenth of the run; None before the first."""
    if not trace:
        return None
    last, fall = trace[-1], max(trace[-1].stop, run.steps - math.ceil(run.left / 10))
    held = ((fall, last.chosen),) if fall > last.stop else ()
    note = (
        f"the schedule is searched up to step {last.stop}; from there its LR is held until step {fall} and falls to 0 "
        "at the end, which is a guess: nothing was trained with it"
    )
    knots = (*path(trace, run), *held, (run.steps, 0.0))
    return SearchResult(PiecewiseLinear(knots), None, tuple(trace), chosen_by="training loss", notes=(note,))


def boundaries(segments: int, run: RunSpec) -> list[int]:
    """tau_0 = start, ..., tau_K = steps, as even as whole steps allow."""
    if segments > run.left:
        there = f"{run.left} steps that are left" if run.start else f"run's {run.steps} steps"
        raise UsageError(f"segments: {segments} is more than the {there}; lower --segments or raise --steps")
    # In whole numbers: no boundary hangs on how a float is rounded.
    return [run.start + k * run.left // segments for k in range(segments + 1)]


def eps_at(p: SemiLocal, k: int, lr: float) -> float:
    """eps_k as given, in its own unit: 0 in the last segment and where the LR starts at 0, as in the first one.

    In the first segment of a run that is under way it does not.
    """
    if k == p.segments or lr == 0:
        return 0.0
    return p.eps * (p.segments - k) / (p.segments - 1) if p.decay else p.eps
