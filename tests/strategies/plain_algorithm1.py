"""Algorithm 1 once more, written from the paper alone and as plainly as possible: no generator, no jobs, no store."""

from __future__ import annotations

import math
from collections.abc import Callable

Loss = Callable[[int, int, float, float], float]
"""Mean loss of a segment: first step, end, LR at its start, LR at its end."""


def algorithm1(
    loss: Loss,
    steps: int,
    segments: int,
    n: int,
    eps: float,
    *,
    unit: str = "nats",
    decay: bool = False,
    grid: tuple[float, ...] = (1e-1, 3.33e-2, 1e-2, 3.33e-3, 1e-3, 3.33e-4, 1e-4, 3.33e-5, 1e-5),
    max_lr: float = math.inf,
) -> list[float] | None:
    """The LR chosen for the end of each segment; None if all candidates of a segment diverged (loss +inf)."""
    chosen: list[float] = []
    eta = 0.0
    for k in range(1, segments + 1):
        start = (k - 1) * steps // segments
        stop = k * steps // segments
        if eta == 0.0:
            etas = list(grid)
        else:
            etas = []
            for i in range(n):
                etas.append(eta * (i / (i + 1)))
            etas.append(eta)
            for i in range(1, n):
                etas.append(eta * ((i + 1) / i))
        etas = [candidate for candidate in etas if candidate <= max_lr]
        losses = [loss(start, stop, eta, candidate) for candidate in etas]
        best = min(losses)
        if best == math.inf:
            return None
        if k == 1 or k == segments or eta == 0.0:
            tolerance = 0.0
        else:
            tolerance = eps
            if decay:
                tolerance = eps * (segments - k) / (segments - 1)
            if unit == "progress":
                tolerance = tolerance * max(0.0, loss(start, stop, 0.0, 0.0) - best)
        eta = -1.0
        for candidate, value in zip(etas, losses, strict=True):
            if value <= best + tolerance and candidate > eta:
                eta = candidate
        chosen.append(eta)
    return chosen
