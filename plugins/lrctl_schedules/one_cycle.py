"""One cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lrctl.contracts.axes import Axis
from lrctl_schedules.formulas import half_cosine, in_steps, progress, with_floor
from lrctl_schedules.parameters import LengthUnit, Scalable

Anneal = Literal["cosine", "linear"]


@dataclass(frozen=True, slots=True)
class OneCycle(Scalable):
    """From a low LR up to the peak, then down to a far lower one.

    With T = `steps`, P = `peak_lr`, r = `rise` in steps, a = `start`, e = `end`, q = t / r, u = (t - r) / (T - r), and
    g(v) = (1 + cos(pi v)) / 2 if `anneal` is `cosine`, or 1 - v if it is `linear`:

        P (g(q) a + (1 - g(q)))    for t in [0, r]
        P ((1 - g(u)) e + g(u))    for t in [r, T]

    Step 0 has exactly a P, or P without a rise; step r has exactly P; step T has exactly e P, or P if the whole run
    is the rise. r is in [0, T], a and e in [0, 1].

    >>> schedule = OneCycle(steps=100, peak_lr=0.5, rise=0.4, start=0.5, end=0.0)
    >>> [schedule(step) for step in (0, 20, 40, 70, 100)]
    [0.25, 0.375, 0.5, 0.25, 0.0]

    Source: Smith & Topin 2018 (Super-Convergence); `OneCycleLR` of torch, whose div_factor is 1 / a, whose
    final_div_factor is a / e, and which ends one step earlier.
    """

    rise: Annotated[float, "length of the way up", Axis(0.0, 1.0, grid=(0.1, 0.3, 0.5), length=True)] = 0.3
    start: Annotated[float, "LR at step 0, as a share of the peak", Axis(0.0, 1.0)] = 0.04
    end: Annotated[float, "LR at the end of the run, as a share of the peak", Axis(0.0, 1.0)] = 4e-6
    anneal: Annotated[Anneal, "shape of both ways; not fitted continuously"] = "cosine"
    lengths: LengthUnit = "fraction"

    def __call__(self, step: float) -> float:
        rise = in_steps(self.rise, self.steps, self.lengths)
        if max(0.0, step) < rise:
            return self.peak_lr * with_floor(1 - annealing(self.anneal, progress(step, 0, rise)), self.start)
        return self.peak_lr * with_floor(annealing(self.anneal, progress(step, rise, self.steps)), self.end)


def annealing(anneal: str, v: float) -> float:
    """What is left at the progress v of a way: exactly 1 at v = 0, exactly 0 at v = 1."""
    return half_cosine(v) if anneal == "cosine" else 1 - v
