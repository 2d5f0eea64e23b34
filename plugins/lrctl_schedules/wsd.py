"""Warmup, stable, decay (WSD)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl_schedules.formulas import half_cosine, in_steps, linear_warmup, progress, with_floor
from lrctl_schedules.parameters import Decay, End, LengthUnit, WithWarmup

Cooldown = Literal["linear", "1-sqrt", "cosine", "square", "exponential"]


@dataclass(frozen=True, slots=True)
class WSD(WithWarmup):
    """A linear warmup, the peak for most of the run, and a cooldown at its end.

    With T = `steps`, P = `peak_lr`, w = `warmup` and d = `decay` in steps, e = `end`, and v = (t - (T - d)) / d:

        P t / w                    for t in [0, w]
        P                          for t in [w, T - d]
        P ((1 - g(v)) e + g(v))    for t in [T - d, T]

    | `cooldown` | g(v), from g(0) = 1 to g(1) = 0 |
    |---|---|
    | `linear` | 1 - v |
    | `1-sqrt` | 1 - sqrt(v) |
    | `cosine` | (1 + cos(pi v)) / 2 |
    | `square` | 1 - v^2 |
    | `exponential` | (exp(-5 v) - exp(-5)) / (1 - exp(-5)) |

    Step 0 has LR 0, or P without warmup; the joints have exactly P; step T has exactly e P, or P without decay. w and d
    are at least 0 and together at most T; e is in [0, 1].

    >>> [WSD(steps=100, peak_lr=0.5, warmup=0.1, decay=0.2)(step) for step in (0, 5, 10, 80, 90, 100)]
    [0.0, 0.25, 0.5, 0.5, 0.25, 0.0]

    Source: Hu et al. 2024 (MiniCPM), section 4; cooldown shapes: Hägele et al. 2024.
    """

    decay: Decay = 0.1
    end: End = 0.0
    cooldown: Annotated[Cooldown, "shape of the cooldown; not fitted continuously"] = "linear"
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay = in_steps(self.decay, self.steps, self.lengths)
        v = progress(step, self.steps - decay, self.steps)
        return self.peak_lr * linear_warmup(step, warmup) * with_floor(cooldown_shape(self.cooldown, v), self.end)


def cooldown_shape(cooldown: str, v: float) -> float:
    """What is left at the progress v of a cooldown: exactly 1 at v = 0, exactly 0 at v = 1."""
    if cooldown == "1-sqrt":
        return 1 - math.sqrt(v)
    if cooldown == "cosine":
        return half_cosine(v)
    if cooldown == "square":
        return 1 - v * v
    if cooldown == "exponential":
        return (math.exp(-5 * v) - math.exp(-5)) / (1 - math.exp(-5))
    return 1 - v
