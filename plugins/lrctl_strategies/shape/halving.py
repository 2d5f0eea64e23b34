"""How a number of shapes are scored: all of them in full, or by successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrctl_strategies.shape.trials import Bench, Measuring, Trial

if TYPE_CHECKING:
    from lrctl_strategies.shape.params import ShapeSearch

Shapes = Mapping[str, Sequence[Any]]
"""Shapes by the name of their family."""

KEPT = 3
"""One of so many shapes of each family goes on to the next rung."""


def rate(p: ShapeSearch, bench: Bench, shapes: Shapes, seeds: Sequence[int]) -> Measuring:
    """Score shapes, named by family: crossed with all base LRs and seeds, edges of the grid extended.

    With `halving` all shapes are tried with one seed at every other base LR; a third of each family, at least `top`, at
    all base LRs; and a third of those with all seeds, at the best base LR and its neighbours.
    """
    if not p.halving:
        yield from in_full(bench, flat(shapes), seeds)
        return
    left = {name: list(dict.fromkeys(each)) for name, each in shapes.items()}
    first = seeds[:1]
    yield from bench.measure("all shapes, some base LRs", flat(left), every_other(bench.grid), first)
    left = best_of(left, bench, first, p.top)
    yield from bench.measure("the better shapes, all base LRs", flat(left), bench.grid, first)
    yield from bench.extend(flat(left), first)
    left = best_of(left, bench, first, p.top)
    near = [Trial(shape, lr, seed) for shape in flat(left) for lr in around(bench, shape, first) for seed in seeds]
    yield from bench.try_out("the best shapes, all seeds", near)
    yield from bench.extend(flat(left), seeds)


def in_full(bench: Bench, shapes: Sequence[Any], seeds: Sequence[int]) -> Measuring:
    """Cross all shapes with all base LRs and seeds, and extend the grid where need be."""
    yield from bench.measure("shapes at each base LR", shapes, bench.grid, seeds)
    yield from bench.extend(shapes, seeds)


def flat(shapes: Shapes) -> list[Any]:
    """The shapes of all families, each once."""
    return list(dict.fromkeys(shape for each in shapes.values() for shape in each))


def best_of(shapes: Shapes, bench: Bench, seeds: Sequence[int], least: int) -> dict[str, list[Any]]:
    """A third of the shapes of each family, at least so many: those with the best scores."""
    return {
        name: sorted(each, key=lambda shape: bench.score(shape, seeds).loss)[: max(least, -(-len(each) // KEPT))]
        for name, each in shapes.items()
    }


def every_other(grid: Sequence[float]) -> Sequence[float]:
    """Every other base LR, and not the outermost ones where that can be helped.

    >>> every_other((1, 2, 3, 4, 5)), every_other((1, 2))
    ((2, 4), (2,))
    """
    return grid[1::2]


def around(bench: Bench, shape: Any, seeds: Sequence[int]) -> list[float]:
    """The best base LR of a shape and those that were tried next to it."""
    tried = sorted(lr for lr, of in bench.losses[shape].items() if of.keys() >= set(seeds))
    at = tried.index(bench.score(shape, seeds).base_lr)
    return tried[max(0, at - 1) : at + 2]
