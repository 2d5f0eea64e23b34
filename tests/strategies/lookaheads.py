"""Made-up losses for lookahead searches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, SearchResult
from lrctl.testing import play
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.search import lookahead
from strategies.plain_lookahead import Line

STEPS = 200
Landscape = Callable[[Line], float]
FREE: dict[str, Any] = {"budget": 1e9}


def looked(landscape: Landscape, steps: int = STEPS, **params: Any) -> tuple[SearchResult, list[Batch]]:
    """A search where a scored job has what the landscape says of its knots, and all other jobs 1e9."""

    def loss(job: SegmentJob) -> float:
        assert isinstance(job.schedule, PiecewiseLinear)
        scored = job.score_batches or job.evaluate
        return landscape(tuple((int(step), lr) for step, lr in job.schedule.knots)) if scored else 1e9

    return play(lookahead, Lookahead(reference=False, **params), steps, loss)


def summary(found: SearchResult) -> dict[str, Any]:
    return dict(found.summary)


def rough(seed: int, diverging: float = 0.0) -> Landscape:
    """A landscape without any structure."""

    def score(line: Line) -> float:
        word = hashlib.sha256(repr((seed, line)).encode()).digest()
        return math.inf if word[0] < 256 * diverging else int.from_bytes(word[1:5], "big") / 2**32

    return score


def valley(best: Callable[[float], float], too_high: float = math.inf) -> Landscape:
    """The score is the squared distance of the log LR from what is best at each share of the run; inf above a limit."""

    def score(line: Line) -> float:
        if max(lr for _, lr in line) > too_high:
            return math.inf
        stop = line[-1][0]
        if not stop:
            return 100.0
        points = [(step / stop, lr) for step, lr in line if lr]
        return sum((math.log10(lr / best(share))) ** 2 for share, lr in points) / len(points)

    return score


def level(lr: float) -> Callable[[float], float]:
    """The same LR at every share of the run."""
    return lambda _: lr


def top(line: Line) -> float:
    return max(lr for _, lr in line)
