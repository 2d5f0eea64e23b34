"""The formulas that families share: lengths in steps, places within phases, warmups, and shapes between two levels.

Each function is pure and uses only `math` and its neighbours here: an export carries their source along.
"""

from __future__ import annotations

import math


def in_steps(length: float, steps: int, lengths: str) -> float:
    """A length in steps, of a run of `steps` steps, where `lengths` says what it is in.

    >>> in_steps(0.1, 70, "fraction"), in_steps(12.5, 70, "steps")
    (7.0, 12.5)
    """
    return round_if_close(length * steps if lengths == "fraction" else length)


def round_if_close(x: float) -> float:
    """`x`, or the whole number that it would be but for rounding: 0.1 * 70 is 7.000000000000001, and means 7.

    Joints then lie on the very step they were put on. The range is relative, 1e-12: a length is never rounded to steps.
    """
    whole = float(round(x))
    return whole if math.isclose(x, whole, rel_tol=1e-12) else x


def progress(step: float, start: float, stop: float) -> float:
    """How far `step` is from `start` (exactly 0) to `stop` (exactly 1); 0 before, 1 after, and 0 if they are the same.

    >>> [progress(step, 10, 30) for step in (0, 10, 15, 30, 99)]
    [0.0, 0.0, 0.25, 1.0, 1.0]
    """
    if step <= start:
        return 0.0
    return 1.0 if step >= stop else (step - start) / (stop - start)


def with_floor(shape: float, floor: float) -> float:
    """`shape`, which lies in [0, 1], scaled to [`floor`, 1]; exact where the shape is 0 and where it is 1."""
    return (1 - shape) * floor + shape


def half_cosine(v: float) -> float:
    """Half a cosine from 1 to 0: (1 + cos(pi v)) / 2 for v in [0, 1]; exact at both ends."""
    return (1 + math.cos(math.pi * v)) / 2


def linear_warmup(step: float, warmup: float) -> float:
    """What a linear warmup from 0 has reached at `step`: 1 from step `warmup` on, and so everywhere if that is 0."""
    step = max(0.0, step)
    return 1.0 if step >= warmup else step / warmup


def warmup_factor(step: float, warmup: float, rise: str, rate: float) -> float:
    """What a warmup from 0 has reached at `step`, with q = step / `warmup`; 1 from step `warmup` on.

    | `rise` | for q in [0, 1) |
    |---|---|
    | `linear` | q |
    | `cosine` | (1 - cos(pi q)) / 2 |
    | `exponential` | 1 - exp(-`rate` q) |
    | `polynomial` | q^`rate` |

    The exponential does not reach 1: at q = 1 it jumps by exp(-`rate`), which is 0.05 for a rate of 3.

    >>> [warmup_factor(5, 10, rise, 2.0) for rise in ("linear", "cosine", "polynomial")]
    [0.5, 0.5, 0.25]
    """
    q = linear_warmup(step, warmup)
    if rise == "linear" or q >= 1:
        return q
    if rise == "cosine":
        return half_cosine(1 - q)
    if rise == "exponential":
        return -math.expm1(-rate * q)
    return math.pow(q, rate)


def effective_warmup(warmup: float) -> float:
    """A warmup in steps that changes more than step 0: 0 if it is at most one step long.

    All that such a warmup would do is to give LR 0 to the first update, which then teaches nothing.

    >>> effective_warmup(1.0), effective_warmup(1.5)
    (0.0, 1.5)
    """
    return warmup if warmup > 1 else 0.0
