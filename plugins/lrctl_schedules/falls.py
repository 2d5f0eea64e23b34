"""Curved falls to the end of the run: half a cosine or a power of it, REX, and an arc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import effective_warmup, half_cosine, in_steps, progress, warmup_factor, with_floor
from lrctl_schedules.parameters import End, LengthUnit, Range, WithWarmupShape


@dataclass(frozen=True, slots=True)
class Cosine(WithWarmupShape):
    """A linear warmup, then half a cosine down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P t / w              for t in [0, w]
        P ((1 - c) e + c)    for t in [w, T]

    Step 0 has LR 0, or P without warmup; step w has exactly P; step T has exactly e P, or P if the whole run is warmup.
    w is in [0, T], e in [0, 1].

    The warmup P t / w is that of `rise` "linear"; for other shapes see `lrctl_schedules.formulas.warmup_factor`. As in
    transformers step 0 has LR 0 even if the warmup is one step long, or less.

    >>> [Cosine(steps=100, peak_lr=0.5, warmup=0.2, end=0.5)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.25]

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """

    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay = half_cosine(progress(step, warmup, self.steps))
        return self.peak_lr * warmup_factor(step, warmup, self.rise, self.rise_rate) * with_floor(decay, self.end)


@dataclass(frozen=True, slots=True)
class GeneralizedCosine(WithWarmupShape):
    """A warmup, then half a cosine to some power, down to the end of the run.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, e = `end`, u = (t - w) / (T - w) and
    c = (1 + cos(pi u)) / 2:

        P r(t)                   for t in [0, w), with r by `rise`: see `lrctl_schedules.formulas.warmup_factor`
        P ((1 - c^p) e + c^p)    for t in [w, T]

    Step 0 has LR 0, or P where w is at most 1: all that such a warmup would do is to waste the first update. Step w has
    exactly P; step T has exactly e P, or P if p is 0 or the whole run is warmup. p = 1 is half a cosine, below it the
    LR stays high for longer, p = 0 is constant. w is in [0, T], p at least 0, e in [0, 1].

    >>> [GeneralizedCosine(steps=100, peak_lr=0.5, warmup=0.2, p=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.125, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    p: Annotated[
        float,
        "power of the cosine: 1 is the cosine itself, below 1 stays high for longer",
        Axis(0.01, 5.0, log=True),
        Range(0),
    ] = 1.0
    end: End = 0.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        decay = math.pow(half_cosine(progress(step, warmup, self.steps)), self.p)
        factor = warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate)
        return self.peak_lr * factor * with_floor(decay, self.end)


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


@dataclass(frozen=True, slots=True)
class SquareRoot(WithWarmupShape):
    """A warmup, then an arc: a quarter of a circle, or a power of it, down to 0.

    With T = `steps`, P = `peak_lr`, w = `warmup` in steps, a = `bend` and u = (t - w) / (T - w):

        P r(t)                 for t in [0, w), with r by `rise`: see `lrctl_schedules.formulas.warmup_factor`
        P (1 - u^2)^(a / 2)    for t in [w, T]

    Step 0 has LR 0, or P where w is at most 1: all that such a warmup would do is to waste the first update. Step w has
    exactly P; step T has exactly 0, or P if a is 0 or the whole run is warmup. a = 1 is a quarter of a circle, a = 2 a
    parabola, a = 0 is constant. w is in [0, T], a at least 0.

    >>> [SquareRoot(steps=100, peak_lr=0.5, warmup=0.2, bend=2.0)(step) for step in (0, 10, 20, 60, 100)]
    [0.0, 0.25, 0.5, 0.375, 0.0]

    Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
    """

    bend: Annotated[
        float,
        "power of the arc: 1 is a quarter of a circle, below 1 stays high for longer",
        Axis(0.01, 5.0, log=True),
        Range(0),
    ] = 1.0
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        warmup = in_steps(self.warmup, self.steps, self.lengths)
        u = progress(step, warmup, self.steps)
        # 1 - u * u would lose digits near the end.
        decay = math.pow((1 - u) * (1 + u), self.bend / 2)
        return self.peak_lr * warmup_factor(step, effective_warmup(warmup), self.rise, self.rise_rate) * decay
