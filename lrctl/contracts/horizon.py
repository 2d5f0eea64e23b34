"""How the best peak LR goes with the length of a run, at the same batch size.

Measured with AdamW on small models from T/8 to T: a power of the steps whose exponent is -0.2 in the mean, with a
standard deviation of 0.2 over workloads and seeds (`lrctl guide transfer`).
"""

from __future__ import annotations

import math

EXPONENT = -0.2
"""Of the steps, in the best peak LR."""

SPREAD = 0.2
"""The standard deviation of the exponent."""

FEWEST = 100
"""Runs of fewer steps tell nothing of the LRs of a longer one: their warmup and the noise of batches decide."""

NINETY = 1.645
"""A normal variable is within so many standard deviations in 90 of 100 cases."""


def carried(lr: float, old: int, new: int, exponent: float = EXPONENT) -> float:
    """The best peak LR of `new` steps where that of `old` steps is `lr`.

    >>> round(carried(0.01, 100, 3200), 6)
    0.005
    """
    return lr * math.pow(new / old, exponent)


def few(steps: int) -> tuple[str, ...]:
    """What is to be said of a search on runs of so many steps; nothing where they are enough."""
    told = (
        f"{steps} steps are few: in under {FEWEST} the warmup and the noise of batches decide, so what is found says "
        "little of the LR, and nothing of longer runs; raise --steps"
    )
    return (told,) * (steps < FEWEST)


def unsure(old: int, new: int) -> float:
    """The factor by which `carried` may be off, either way, in 90 of 100 cases.

    >>> round(unsure(300, 2400), 2), unsure(300, 300)
    (1.98, 1.0)
    """
    return math.exp(NINETY * SPREAD * abs(math.log(new / old)))
