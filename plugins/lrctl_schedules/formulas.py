"""The formulas that families share: lengths in steps, places within phases, and shapes between two levels.

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
