"""Lookahead search: an LR is judged by what the run would be worth with it, once its LR is wound down to 0.

A segment's training loss rewards LRs that are too small, since the noise at a high LR hides progress. So each candidate
is trained on to the end of the run, its LR falling in a straight line to 0, and scored there. Such a rollout resumes
from the last knot that it shares with one before it. The best one is kept: it is the answer, and trained already.

No paper's method: what it is measured to give stands in recipes/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl.errors import UsageError
from lrctl.job import SegmentResult
from lrctl.strategy import Batch, Problem, Search
from lrctl_strategies.lookahead_report import found
from lrctl_strategies.probes import Probes, scale, shortened
from lrctl_strategies.rollouts import Judge, Rollouts

CHEAP = 1 / 3
"""Share of a run up to which a rollout counts as cheap: a late knot is tried at that price."""

Work = Generator[Batch, list[SegmentResult], None]
Trying = Generator[Batch, list[SegmentResult], bool]


@dataclass(frozen=True, slots=True)
class Lookahead:
    """Parameters of lookahead search."""

    budget: Annotated[float, "plain runs that no rollout goes beyond, the scoring counted; most end sooner"] = 8.0
    score_on: Annotated[
        Literal["training", "validation"],
        "what a rollout is scored by: training batches that are kept aside for it, or validation loss",
    ] = "training"
    score_batches: Annotated[int, "how many batches of training data a score is the mean loss of"] = 64
    grid: Annotated[
        tuple[float, ...], "LRs of the first, short runs; extended by its own factor while the best is on its edge"
    ] = (1e-3, 3.33e-3, 1e-2)
    probe: Annotated[float, "length of these, as a share of the run"] = 0.15
    rise: Annotated[tuple[float, ...], "shares of the run in which the LR rises from 0, tried on short runs"] = (
        0.05,
        0.02,
        0.1,
    )
    knot: Annotated[tuple[float, ...], "shares of the run at which the LR may turn"] = (0.4, 0.7, 0.85, 0.95)
    ratio: Annotated[float, "what LRs are multiplied or divided by"] = 1.5
    fine_ratio: Annotated[float, "the same where only divergence limits the LR, as on least squares"] = 1.2
    max_lr: Annotated[float | None, "no LR above this is tried"] = None

    def __post_init__(self) -> None:
        if not self.budget > 0:
            raise ValueError(f"budget: must be greater than 0, got {self.budget}")
        if self.score_batches < 1:
            raise ValueError(f"score_batches: must be at least 1, got {self.score_batches}")
        if not self.grid or not all(0 < lr < math.inf for lr in self.grid):
            raise ValueError(f"grid: must hold LRs greater than 0, got {list(self.grid)}")
        if self.max_lr is not None and not min(self.grid) <= self.max_lr:
            raise ValueError(f"max_lr: no LR of the grid is at most {self.max_lr:g}; raise it above {min(self.grid):g}")
        if not 0 < self.probe <= 1:
            raise ValueError(f"probe: must be greater than 0 and at most 1, got {self.probe}")
        if not self.rise or not all(0 < share < self.probe for share in self.rise):
            raise ValueError(f"rise: must hold shares greater than 0 and less than probe, got {list(self.rise)}")
        if not self.knot or not all(max(self.rise) < share < 1 for share in self.knot):
            raise ValueError(f"knot: must hold shares above those of rise and below 1, got {list(self.knot)}")
        for name in ("ratio", "fine_ratio"):
            if not 1 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: must be greater than 1, got {getattr(self, name)}")

    def allows(self, lr: float) -> bool:
        """Whether an LR may be tried."""
        return self.max_lr is None or lr <= self.max_lr


def lookahead(p: Lookahead, run: Problem) -> Search:
    """Lookahead search: short runs for the scale, then whole ones from one wind-down to a better one."""
    rollouts = Rollouts(run.steps, Judge(p.score_batches if p.score_on == "training" else 0))
    probes = Probes(shortened(p, run.steps))
    lr = yield from scale(p, rollouts, probes)
    rollouts.at = knots(p, probes.rise, run.steps)
    held = yield from hold(p, rollouts, lr)
    up = probes.limited or held > 0
    better = yield from lift(p, rollouts, probes, up=up)
    if probes.limited and not better:
        yield from lift(p, rollouts, probes, up=False)
    yield from turn(p, rollouts, everywhere=probes.limited)
    return found(p, rollouts, probes)


def knots(p: Lookahead, rise: int, steps: int) -> tuple[int, ...]:
    """The steps at which the LR may turn: the end of the rise, and the knots behind it that are apart.

    Raises:
        UsageError: the run is too short for any.
    """
    at = sorted({rise, *(round(share * steps) for share in p.knot)})
    inside = tuple(step for step in at if rise <= step < steps)
    if len(inside) < 2:
        raise UsageError(f"steps: {steps} are too few for a lookahead search with knots at {p.knot}; raise --steps")
    return inside


def hold(p: Lookahead, rollouts: Rollouts, lr: float) -> Generator[Batch, list[SegmentResult], int]:
    """Hold the LR until the first knot, the second, ... while that is better. Returns how often it was."""
    last = len(rollouts.at)
    moves = [(f"hold {lr:.3g} until step {rollouts.at[n - 1]}", [lr] * n) for n in range(2, last + 1)]
    scores = [rollout.score for rollout in (yield from rollouts.roll(affordable(p, rollouts, moves[:2]) or moves[:1]))]
    while len(scores) > 1 and scores[-1] < min(scores[:-1]) and len(scores) < len(moves):
        more = affordable(p, rollouts, [moves[len(scores)]])
        if not more:
            break
        scores += [rollout.score for rollout in (yield from rollouts.roll(more))]
    return scores.index(min(scores))


def lift(p: Lookahead, rollouts: Rollouts, probes: Probes, *, up: bool) -> Trying:
    """Multiply all LRs while that is better, or divide them. Returns whether it was better."""
    before, ratio = rollouts.best, p.fine_ratio if probes.limited else p.ratio
    told, by = (f"all LRs x {ratio:g}", ratio) if up else (f"all LRs / {ratio:g}", 1 / ratio)
    while (yield from attempt(p, rollouts, told, [lr * by for lr in rollouts.best.lrs])):
        pass
    return rollouts.best is not before


def turn(p: Lookahead, rollouts: Rollouts, *, everywhere: bool) -> Work:
    """Multiply, or else divide, the LR at one knot after the other, the last and cheapest first.

    Behind it the LRs are those of the best run, or the straight line to 0 where that had one. Unless `everywhere`, only
    knots are tried that are cheap to try.
    """
    ratio, last = p.fine_ratio if everywhere else p.ratio, len(rollouts.at) - 1
    cheap = [knot for knot in range(1, last + 1) if rollouts.at[knot - 1] >= (1 - CHEAP) * rollouts.steps]
    for knot in reversed(range(1, last + 1) if everywhere else cheap):
        lrs = rollouts.best.lrs
        before, here, after = [rollouts.lr(lrs, n) for n in range(knot)], rollouts.lr(lrs, knot), lrs[knot + 1 :]
        for told, lr in ((f"x {ratio:g}", here * ratio), (f"/ {ratio:g}", here / ratio)):
            move = f"LR at step {rollouts.at[knot]} {told}"
            if (yield from attempt(p, rollouts, move, [*before, lr, *after])):
                break


def attempt(p: Lookahead, rollouts: Rollouts, move: str, lrs: Sequence[float]) -> Trying:
    """Try a run unless it goes beyond the budget or the largest LR. Returns whether it is better than all before."""
    before = rollouts.best
    if not all(map(p.allows, lrs)) or not (moves := affordable(p, rollouts, [(move, lrs)])):
        return False
    (rollout,) = yield from rollouts.roll(moves)
    return rollout.score < before.score


def affordable(
    p: Lookahead, rollouts: Rollouts, moves: Sequence[tuple[str, Sequence[float]]]
) -> list[tuple[str, Sequence[float]]]:
    """The moves, if the budget has room for all of them."""
    cost = rollouts.cost([rollouts.knots(lrs) for _, lrs in moves])
    if rollouts.spent + cost > p.budget:
        rollouts.skipped += len(moves)
        return []
    return list(moves)
