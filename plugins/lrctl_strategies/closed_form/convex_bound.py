"""A bound from convex optimisation that predicts, without training, how good a schedule's shape is.

Schaipp et al., *The Surprising Agreement Between Convex Optimization Theory and Learning-Rate Scheduling for Large
Model Training* (2025): for SGD on a convex function whose gradients at step t have norm G_t, from distance D of the
optimum, the last iterate's suboptimality is at most

    D^2 / (2 S_1) + 1/2 [Q_1 / S_1 + sum_{k < T} (lr_k / S_{k+1}) (Q_k / S_k)],

with S_k = sum_{t >= k} lr_t and Q_k = sum_{t >= k} lr_t^2 G_t^2. With lr = g s this is A / g + g B, so that the best
base LR of a shape s is g = sqrt(A / B), and the bound there is 2 sqrt(A B). Deep networks are not convex: a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def bound(shape: Sequence[float], norms: Sequence[float] | None = None, distance: float = 1.0) -> tuple[float, float]:
    """The bound at a shape's own best base LR, and that base LR.

    Args:
        shape: the LR of each step, up to a factor. Zeros at its end do not count: they change nothing.
        norms: the gradient's norm G_t at each step; 1 everywhere by default.
        distance: D. It scales the bound and the base LR of every shape alike.

    >>> bound([1.0, 1.0])
    (1.0, 0.5)

    Raises:
        ValueError: the shape is 0 everywhere.
    """
    steps = max((step + 1 for step, s in enumerate(shape) if s > 0), default=0)
    if not steps:
        raise ValueError("the schedule is 0 at every step, so the bound says nothing")
    sums, squares, mixed = 0.0, 0.0, 0.0
    for step in reversed(range(steps)):
        s, norm = shape[step], 1.0 if norms is None else norms[step]
        later = sums
        sums += s
        squares += (s * norm) ** 2
        if later:
            mixed += s / later * squares / sums
    a, b = distance**2 / (2 * sums), (squares / sums + mixed) / 2
    return 2 * math.sqrt(a * b), math.sqrt(a / b)
