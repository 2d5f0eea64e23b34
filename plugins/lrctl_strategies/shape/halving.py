"""How a number of shapes are scored: all of them in full, or by successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrctl.contracts.strategy import Work
from lrctl_strategies.shape.trials import Trial, Trials

if TYPE_CHECKING:
    from lrctl_strategies.shape.params import ShapeSearch

Shapes = Mapping[str, Sequence[Any]]
"""Shapes by the name of their family."""

KEPT = 3
"""One of so many shapes of each family goes on to the next round of halving."""


def rate(p: ShapeSearch, trials: Trials, shapes: Shapes, seeds: Sequence[int]) -> Work[None]:
    """Score shapes, named by family: crossed with all base LRs and seeds, edges of the grid extended.

    With `halving` all shapes are tried with one seed at every other base LR; a third of each family, at least `top`, at
    all base LRs; and a third of those with all seeds, at the best base LR and its neighbours.
    """
    if not p.halving:
        yield from in_full(trials, flat(shapes), seeds)
        return
    left = {name: list(dict.fromkeys(each)) for name, each in shapes.items()}
    first = seeds[:1]
    yield from trials.measure("all shapes, some base LRs", flat(left), every_other(trials.grid), first)
    left = best_of(left, trials, first, p.top)
    yield from trials.measure("the better shapes, all base LRs", flat(left), trials.grid, first)
    yield from trials.extend(flat(left), first)
    left = best_of(left, trials, first, p.top)
    near = [Trial(shape, lr, seed) for shape in flat(left) for lr in around(trials, shape, first) for seed in seeds]
    yield from trials.try_out("the best shapes, all seeds", near)
    yield from trials.extend(flat(left), seeds)


def in_full(trials: Trials, shapes: Sequence[Any], seeds: Sequence[int]) -> Work[None]:
    yield from trials.measure("shapes at each base LR", shapes, trials.grid, seeds)
    yield from trials.extend(shapes, seeds)


def flat(shapes: Shapes) -> list[Any]:
    return list(dict.fromkeys(shape for each in shapes.values() for shape in each))


def best_of(shapes: Shapes, trials: Trials, seeds: Sequence[int], least: int) -> dict[str, list[Any]]:
    """A third of the shapes of each family, at least so many: those with the best scores."""
    return {
        name: sorted(each, key=lambda shape: trials.score(shape, seeds).loss)[: max(least, -(-len(each) // KEPT))]
        for name, each in shapes.items()
    }


def every_other(grid: Sequence[float]) -> Sequence[float]:
    """Every other base LR, and not the outermost ones where that can be helped.

    >>> every_other((1, 2, 3, 4, 5)), every_other((1, 2))
    ((2, 4), (2,))
    """
    return grid[1::2]


def around(trials: Trials, shape: Any, seeds: Sequence[int]) -> list[float]:
    """The best base LR of a shape and those that were tried next to it."""
    tried = sorted(lr for lr, of in trials.losses[shape].items() if of.keys() >= set(seeds))
    at = tried.index(trials.score(shape, seeds).base_lr)
    return tried[max(0, at - 1) : at + 2]
