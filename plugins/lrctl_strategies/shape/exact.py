"""The shape search on a workload whose loss can be computed: many shapes at once, and the true optimum.

Each family's best shape is refined until no change of one parameter makes it better, and the best LRs of all, one free
number for each step, are found by L-BFGS on their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Search, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.shape import samplers
from lrctl_strategies.shape.exact_report import answer
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.result import RefinedFamily
from lrctl_strategies.shape.settings import Setting
from lrctl_strategies.shape.space import Space, nothing_drawn, space
from lrctl_strategies.shape.trials import Trials

STRIDES = tuple(0.1 / 2**i for i in range(8))
"""How far the refinement moves a parameter, as a share of its range: less and less far."""

FLOOR = 1e-6
"""The optimum is looked for from LRs of at least so much: L-BFGS sees their logarithms."""


def exact(p: ShapeSearch, run: RunSpec) -> Search:
    """Draw shapes of each family, score them at every base LR, refine the best; with `optimum` find the best LRs."""
    if p.vary:
        raise UsageError("--vary: this workload has nothing to vary but its length; give --steps instead")
    trials = Trials(run, Setting("", run.steps), p.metric, tuple(sorted(set(p.grid))))
    families = [space(text, run.steps) for text in dict.fromkeys(p.family)]
    families += [space(text, run.steps, "--against") for text in dict.fromkeys(p.against) if text not in p.family]
    best: list[RefinedFamily] = []
    for each in families:
        best += [(yield from best_of(p, trials, each))]
    best.sort(key=lambda each: each.loss)
    if not math.isfinite(best[0].loss):
        raise NoValidCandidateError("the best shape of every family diverged; lower the base LRs of --grid")
    lrs = optimum(run, best) if p.optimum else None
    schedules = ([PiecewiseLinear(tuple(enumerate(lrs)))] if lrs else []) + [each.schedule for each in best]
    jobs = [SegmentJob(0, run.steps, each, evaluate=("validation", "test"), checkpoint=False) for each in schedules]
    results = yield Batch("the best schedules, trained", jobs, judge=False)
    return answer(p, trials, best, lrs, schedules, results)


def best_of(p: ShapeSearch, trials: Trials, family: Space) -> Work[RefinedFamily]:
    source = samplers.sampler(p.sampler, family, p.draw_seed)
    shapes: list[Any] = []
    drawn = 0
    while drawn < p.shapes:
        points = source.ask(min(source.at_once or p.shapes, p.shapes - drawn))
        members = [family.at(point) for point in points]
        asked = [shape for shape in members if shape is not None]
        yield from trials.measure(f"{family.name}: {p.shapes} shapes", asked, trials.grid, [trials.run.seed])
        yield from trials.extend(asked, [trials.run.seed])
        source.tell(points, [trials.score(shape).loss for shape in members])
        shapes += asked
        drawn += len(points)
    if not shapes:
        raise nothing_drawn(family)
    best = min(shapes, key=lambda shape: trials.score(shape).loss)
    shape, base_lr, loss = refined(trials, family, best)
    drawn_loss = trials.score(best).loss
    return RefinedFamily(space=family, shape=shape, base_lr=base_lr, loss=loss, drawn_loss=drawn_loss)


def refined(trials: Trials, family: Space, shape: Any) -> tuple[Any, float, float]:
    """A shape, its base LR and its loss once no small change of one parameter or of the base LR makes it better."""
    score = trials.score(shape)
    base_lr, loss = score.base_lr, score.loss
    for stride in STRIDES:
        factor = 1 + 2 * stride
        while True:
            nearby = [shape, *family.neighbours(shape, stride)]
            tried = [(each, base_lr * f) for each in nearby for f in (1.0, factor, 1 / factor)]
            losses = trials.losses_at(tried)
            best = min(range(len(tried)), key=lambda i: losses[i])
            if not losses[best] < loss * (1 - 1e-9):
                break
            (shape, base_lr), loss = tried[best], losses[best]
    return shape, base_lr, loss


def optimum(run: RunSpec, refined: Sequence[RefinedFamily]) -> list[float]:
    """The LR of each step with which the loss at the end is lowest, as far as L-BFGS gets from the best family's."""
    import numpy as np
    from scipy.optimize import minimize

    workload = run.exact
    assert workload

    def objective(logs: Any) -> tuple[float, Any]:
        lrs = np.exp(logs)
        loss, gradient = workload.expected_gradient(lrs)
        return float(np.log(loss)), gradient * lrs / loss

    start = np.maximum([refined[0].schedule(step) for step in range(run.steps)], FLOOR)
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-13, "gtol": 1e-8, "maxcor": 30}
    end = minimize(objective, np.log(start), jac=True, method="L-BFGS-B", options=options)
    lrs: list[float] = np.exp(end.x).tolist()
    return lrs
