"""Which methods of a comparison are drawn together, and against which of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lrctl.report.compare import Comparison, Method


@dataclass(frozen=True)
class Panel:
    """Methods that are drawn together: all, or those of one optimizer.

    Attributes:
        optimizer: empty where the panel holds all methods.
        reference: one of them, whose loss is subtracted from the others'.
    """

    optimizer: str
    methods: tuple[Method, ...]
    reference: Method


def panels(comparison: Comparison) -> list[Panel]:
    """A panel for each optimizer where at least two have several methods, else one for all.

    The reference of a panel is that of the comparison if it is there, else the first method with a schedule of the same
    family, else the first.
    """
    by_optimizer: dict[str, list[Method]] = {}
    for method in comparison.methods:
        by_optimizer.setdefault(method.curves[0].optimizer, []).append(method)
    if sum(len(group) > 1 for group in by_optimizer.values()) < 2:
        return [Panel("", comparison.methods, comparison.reference)]
    return [Panel(name, tuple(group), nearest(group, comparison.reference)) for name, group in by_optimizer.items()]


def nearest(methods: Sequence[Method], reference: Method) -> Method:
    family = reference.curves[0].entry.schedule.family
    alike = (method for method in methods if method.curves[0].entry.schedule.family == family)
    return reference if any(method is reference for method in methods) else next(alike, methods[0])
