"""Which methods are drawn together, and against which of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrctl.analysis.smoothing import smoothed
from lrctl.report.compare import Comparison, Method
from lrctl.report.curves import Curve

Series = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Panel:
    """Methods that are drawn together, with the plain runs beside them: all, or those of one optimizer.

    Attributes:
        optimizer: empty where the panel holds all methods.
        reference: one of them, whose loss is subtracted from the others'.
    """

    optimizer: str
    methods: tuple[Method, ...]
    reference: Method

    @property
    def labels(self) -> list[str]:
        marked = self.reference if len(self.methods) > 1 else None
        return [method.label + " (reference)" * (method is marked) for method in self.methods]


def panels(comparison: Comparison) -> list[Panel]:
    """A panel for each optimizer where at least two have several methods, else one for all.

    The reference of a panel is that of the comparison if it is there, else the first method with a schedule of the same
    family, else the first.
    """
    by_optimizer = grouped(comparison.methods)
    if sum(len(group) > 1 for group in by_optimizer.values()) < 2:
        return [Panel("", (*comparison.methods, *comparison.plain), comparison.reference)]
    plain = grouped(comparison.plain)
    family = comparison.reference.curves[0].entry.schedule.family

    def unlike(method: Method) -> tuple[bool, bool]:
        return (method is not comparison.reference, method.curves[0].entry.schedule.family != family)

    return [Panel(name, (*group, *plain.get(name, ())), min(group, key=unlike)) for name, group in by_optimizer.items()]


def grouped(methods: Sequence[Method]) -> dict[str, list[Method]]:
    """Methods by their optimizer."""
    groups: dict[str, list[Method]] = {}
    for method in methods:
        groups.setdefault(method.curves[0].optimizer, []).append(method)
    return groups


def smoothed_difference(curve: Curve, reference: Method) -> Series | None:
    other = next((each for each in reference.curves if each.seed == curve.seed), None)
    if other is None:
        return None
    with np.errstate(invalid="ignore"):  # where both diverged
        return smoothed(curve.losses - other.losses)
