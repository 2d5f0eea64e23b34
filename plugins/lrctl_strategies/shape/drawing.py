"""Shapes are drawn and scored: all of them in full, or by successive halving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrctl.contracts.strategy import Work
from lrctl.errors import UsageError
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.samplers import sampler
from lrctl_strategies.shape.space import Space
from lrctl_strategies.shape.trials import Trial, Trials

Shapes = Mapping[str, Sequence[Any]]
"""Shapes by the name of their family."""

KEPT = 3
"""One of so many shapes of each family goes on to the next round of halving."""


def draw(
    p: ShapeSearch,
    trials: Trials,
    spaces: Mapping[str, Space],
    seeds: Sequence[int],
    rate: Callable[[Shapes], Work[None]],
) -> Work[dict[str, list[Any]]]:
    """Draw shapes of each family and rate them; a sampler that learns is told the scores as they come."""
    sources = {name: sampler(p.sampler, space, p.draw_seed) for name, space in spaces.items()}
    shapes: dict[str, list[Any]] = {name: [] for name in spaces}
    drawn = 0
    while drawn < p.shapes:
        n = min(min(source.at_once or p.shapes for source in sources.values()), p.shapes - drawn)
        members = {name: [spaces[name].at(point) for point in source.ask(n)] for name, source in sources.items()}
        kept = {name: [shape for shape in each if shape is not None] for name, each in members.items()}
        yield from rate(kept)
        for name, each in members.items():
            sources[name].tell([trials.rated(shape, seeds).loss for shape in each])
            shapes[name] = list(dict.fromkeys([*shapes[name], *kept[name]]))
        drawn += n
    for name, kept_of in shapes.items():
        if not kept_of:
            raise UsageError(
                f"--family {name}: it refuses every shape that was drawn, as where its lengths do not fit into the "
                "run; draw more with --shapes, or set one of them"
            )
    return shapes


def in_full(trials: Trials, shapes: Shapes, seeds: Sequence[int], title: str = "shapes at each base LR") -> Work[None]:
    """Score shapes at all base LRs with all seeds, edges of the grid extended."""
    yield from trials.measure(title, flat(shapes), trials.grid, seeds)
    yield from trials.extend(flat(shapes), seeds)


def by_halving(trials: Trials, shapes: Shapes, seeds: Sequence[int], top: int) -> Work[None]:
    """Score shapes, and give up on the bad ones early.

    All shapes are tried with one seed at every other base LR; a third of each family, at least `top`, at all base LRs;
    and a third of those with all seeds, at the best base LR and its neighbours.
    """
    left: Shapes = {name: list(dict.fromkeys(each)) for name, each in shapes.items()}
    first = seeds[:1]
    # Not the outermost base LRs where that can be helped.
    yield from trials.measure("all shapes, some base LRs", flat(left), trials.grid[1::2], first)
    left = best_of(left, trials, first, top)
    yield from in_full(trials, left, first, "the better shapes, all base LRs")
    left = best_of(left, trials, first, top)
    near = [Trial(shape, lr, seed) for shape in flat(left) for lr in around(trials, shape, first) for seed in seeds]
    yield from trials.try_out("the best shapes, all seeds", near)
    yield from trials.extend(flat(left), seeds)


def flat(shapes: Shapes) -> list[Any]:
    return list(dict.fromkeys(shape for each in shapes.values() for shape in each))


def best_of(shapes: Shapes, trials: Trials, seeds: Sequence[int], least: int) -> Shapes:
    """A third of the shapes of each family, at least so many: those with the best scores."""
    return {
        name: sorted(each, key=lambda shape: trials.score(shape, seeds).loss)[: max(least, -(-len(each) // KEPT))]
        for name, each in shapes.items()
    }


def around(trials: Trials, shape: Any, seeds: Sequence[int]) -> list[float]:
    """The best base LR of a shape and those that were tried next to it."""
    tried = trials.tried(shape, seeds)
    at = tried.index(trials.score(shape, seeds).base_lr)
    return tried[max(0, at - 1) : at + 2]
