"""Transfers on the problems whose runs can be computed, beside the best LR of the whole run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.transfer.problems import Problem
from lrctl.contracts.strategy import drive
from lrctl.testing import run_spec
from lrctl_strategies.lookahead.parabola import through
from lrctl_strategies.transfer.family import RUNG, schedule
from lrctl_strategies.transfer.params import Transfer
from lrctl_strategies.transfer.search import transfer

GRID = (0.03, 0.0675, 0.152)
FINE = 2 ** (1 / 4)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One problem.

    Attributes:
        true: the best peak LR of the whole run.
        excess: how much higher the loss is at the peak that was answered.
        gain: what the last doubling of the steps gains, at the best LR of each.
    """

    problem: Problem
    summary: dict[str, Any]
    true: float
    excess: float
    gain: float

    @property
    def error(self) -> float:
        """The logarithm of the answer over the truth."""
        return math.log(self.summary["peak_lr"] / self.true)

    @property
    def inside(self) -> bool:
        low, high = self.summary["interval"]
        return bool(low <= self.true <= high)


def outcome(problem: Problem, steps: int, **params: Any) -> Outcome:
    """What a transfer finds on a problem, and what the best LR is."""
    found = drive(transfer(Transfer(grid=GRID, **params), run_spec(steps)), problem.run_batch)
    summary = dict(found.summary)
    warmup = summary["warmup"]
    best, loss = truth(problem, steps, warmup)
    reached = at(problem, steps, warmup, [summary["peak_lr"]])[summary["peak_lr"]]
    return Outcome(problem, summary, best, reached - loss, truth(problem, steps // 2, warmup)[1] - loss)


@cache
def truth(problem: Problem, steps: int, warmup: int) -> tuple[float, float]:
    """The best peak LR of runs of so many steps, and its loss."""
    losses = at(problem, steps, warmup, [1e-3 * FINE**n for n in range(48)])
    return through(losses).vertex, min(losses.values())


def at(problem: Problem, steps: int, warmup: int, lrs: Sequence[float]) -> dict[float, float]:
    """The losses of runs of so many steps, by their peak LRs."""
    shape = schedule(RUNG, 1.0, steps, warmup)
    ratios = np.array([shape(step) for step in range(steps)])
    return dict(zip(lrs, map(float, problem.losses(np.outer(lrs, ratios))), strict=True))
