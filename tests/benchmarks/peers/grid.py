"""Tuning one positive number with few runs: a geometric grid that is extended, or made finer where it is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.loop import Lr, Make, Run

FACTOR = 10 / 3
"""Of the grid by which lrctl tunes its baselines."""


Plan = tuple[Make | None, Lr]
"""How to make a run's optimizer (None: the recipe's), and its LR at each step."""


def tune(contest: Contest, name: str, start: Sequence[float], plan: Callable[[float], Plan]) -> Outcome:
    """Train whole runs as `plan` says for values of `name`; the best is chosen by validation."""
    losses: dict[float, float] = {}
    best: Run | None = None
    for _ in range(contest.runs):
        value = following(losses, start)
        make, lr = plan(value)
        run = Run(contest, make)
        run.train(contest.steps, lr)
        losses[value] = run.loss("validation")
        if best is None or losses[value] == min(losses.values()):
            best = run
    assert best is not None
    return Outcome(
        test_loss=best.loss("test"),
        validation_loss=min(losses.values()),
        steps_trained=contest.runs * contest.steps,
        forwards=round(contest.runs * contest.passes),
        checkpoint_bytes=0,
        chosen={name: min(losses, key=losses.__getitem__), "tried": {f"{v:g}": loss for v, loss in losses.items()}},
    )


def following(losses: Mapping[float, float], start: Sequence[float]) -> float:
    """The next value to try after those whose losses are known.

    First those of `start`. Then, while the best is at an end, the next one beyond it; else the one between the best and
    its neighbour, in the wider of the two gaps.

    >>> following({}, [1, 3]), following({1: 0.5, 3: 0.4}, [1, 3])
    (1, 10.0)
    >>> following({1: 0.5, 4: 0.4, 9: 0.6}, [1, 4])
    2.0
    """
    for value in start:
        if value not in losses:
            return value
    known = sorted(losses)
    place = known.index(min(known, key=losses.__getitem__))
    best = known[place]
    if place == 0:
        found = best / FACTOR
    elif place == len(known) - 1:
        found = best * FACTOR
    else:
        found = sqrt(best * max(known[place - 1], known[place + 1], key=lambda other: max(best / other, other / best)))
    return float(f"{found:.3g}")
