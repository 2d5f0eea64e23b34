"""REX, generalised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import in_steps, progress, warmup_factor, with_floor
from lrctl_schedules.parameters import End, LengthUnit, Range, WithWarmupShape


@dataclass(frozen=True, slots=True)
class Rex(WithWarmupShape):
    """A linear warmup, then a fall that is slow at first and fast at the end (or the other way round).

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, b = `b`, e = `end`, u = (t - w) / (T - w) and
    r = (1 - u) / (1 - (1 - b) u):

        P t / w              for t in [0, w]
        P ((1 - r) e + r)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    b = 1/2 is REX, b = 1 a straight line; below 1 the LR stays high for long, above 1 it falls early. w is in [0, T],
    b in [1e-9, 1e9], e in [0, 1].

    The warmup P t / w is that of `rise` "linear"; for other shapes see `lrctl_schedules.formulas.warmup_factor`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [round(Rex(steps=100, peak_lr=0.5, warmup=0.2)(step), 15) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.333333333333333, 0.0]

    Source: Chen et al. 2021 (REX: Revisiting Budgeted Training); generalised in "What do near-optimal learning rate
    schedules look like?" (arXiv 2603.10301).
    """

    b: Annotated[
        float,
        "how the fall bends: 1/2 is REX, 1 is straight, below 1 stays high for longer",
        Axis(1e-3, 1e2, log=True, grid=(0.1, 0.5, 1.0, 2.0)),
        Range(1e-9, 1e9),
    ] = 0.5
    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        # 1 - (1 - b) u would lose a small b to rounding, and divide by 0 at the end.
        decay = (1 - u) / ((1 - u) + self.b * u)
        return self.peak_lr * warmup_factor(step, warmup, self.rise, self.rise_rate) * with_floor(decay, self.end)
