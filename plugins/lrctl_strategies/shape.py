"""What is the best shape of a schedule? Shapes are drawn independently of the base LR, which is factored out.

Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from lrctl.errors import NoValidCandidateError, UsageError
from lrctl.job import SegmentResult
from lrctl.schedule import with_peak
from lrctl.strategy import Batch, Problem, Search
from lrctl_strategies import samplers, shape_report
from lrctl_strategies.grids import GEOMETRIC
from lrctl_strategies.settings import axis, settings
from lrctl_strategies.shape_bench import Bench, Measuring, Setting, Trial
from lrctl_strategies.shape_exact import exact
from lrctl_strategies.shape_rungs import in_full, rate
from lrctl_strategies.shape_space import Space, nothing_drawn, reference, space
from lrctl_strategies.shape_sweep import Sweep, sweep
from lrctl_strategies.tuning import Metric, PeakGrid, check_grid

FAMILIES = (
    "constant-with-warmup",
    "cosine",
    "generalized-cosine",
    "square-root",
    "rex",
    "two-point-linear",
    "two-point-spline",
    "smooth-non-monotonic",
)
"""The families of the paper."""


@dataclass(frozen=True, slots=True)
class ShapeSearch:
    """Parameters of the search for the best shape."""

    family: Annotated[
        tuple[str, ...], "family to draw shapes from, or one with settings, as in cosine:end=? (searched); repeatable"
    ] = FAMILIES
    against: Annotated[
        tuple[str, ...], "family to compare with: all shapes on the grids that baseline tunes it on; repeatable"
    ] = ("wsd", "cosine")
    shapes: Annotated[int, "shapes drawn from each family"] = 20
    grid: PeakGrid = GEOMETRIC
    seeds: Annotated[int, "seeds that each shape is scored with, by the median: the recipe's and those after it"] = 3
    top: Annotated[int, "how many shapes of each family are trained again with fresh seeds"] = 3
    fresh_seeds: Annotated[int, "how many fresh seeds"] = 5
    sweep: Annotated[int, "values of each parameter to try around the best shape; 0 is no sweep"] = 5
    sampler: Annotated[samplers.Name, "random, or one of Optuna's: tpe, gp, cmaes, qmc"] = "random"
    draw_seed: Annotated[int, "decides which shapes are drawn"] = 0
    halving: Annotated[
        bool, "give up on bad shapes early: fewer base LRs and one seed first; never those to compare with"
    ] = False
    metric: Metric = "validation"
    vary: Annotated[
        tuple[str, ...], "repeat the search for each value: optimizer.weight_decay=0,0.1 or steps=300,600; repeatable"
    ] = ()
    weight_decay: Annotated[
        Literal["coupled", "independent"], "of each update: times the LR, or times the shape only, whatever the base LR"
    ] = "coupled"
    optimum: Annotated[bool, "where the loss of any LRs can be computed: find the best LRs of all, too"] = False

    def __post_init__(self) -> None:
        check_grid(self.grid, 0)
        for name in ("shapes", "seeds", "top", "fresh_seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("draw_seed", "sweep"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must be at least 0, got {getattr(self, name)}")
        if self.sweep == 1:
            raise ValueError("sweep: must be 0, or at least 2 values, got 1")
        if len(set(self.grid)) < 2:
            raise ValueError(f"grid: must hold at least two base LRs, got {list(self.grid)}")
        if not self.family:
            raise ValueError("family: at least one is needed")
        for text in self.vary:
            axis(text)


@dataclass(frozen=True)
class Ranked:
    """A family's best shape, by the losses with fresh seeds.

    Attributes:
        score: by which the shape was picked, from the seeds of the search.
        loss: median with fresh seeds at the same base LR.
        drawn: how many shapes of the family were scored.
    """

    space: Space
    shape: Any
    base_lr: float
    score: float
    loss: float
    drawn: int
    edge: bool = False

    @property
    def name(self) -> str:
        """Of the family."""
        return self.space.name

    @property
    def schedule(self) -> Any:
        """The shape at its base LR."""
        return with_peak(self.shape, self.base_lr)


@dataclass
class Searched:
    """What the search came to in one setting: the families, best first, and all that was measured."""

    bench: Bench
    spaces: dict[str, Space]
    shapes: dict[str, list[Any]]
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    ranked: list[Ranked]
    sweeps: list[Sweep] = field(default_factory=list)

    @property
    def best(self) -> Ranked:
        """The best of the families that were searched; those to compare with do not count."""
        return next(each for each in self.ranked if not each.space.reference)

    @property
    def references(self) -> list[Ranked]:
        """The families to compare with, the best first."""
        return [each for each in self.ranked if each.space.reference]

    @property
    def unseen(self) -> tuple[int, ...]:
        """As many seeds again, which neither picked nor ranked a shape: for the comparison with tuned ones."""
        return tuple(seed + len(self.fresh) for seed in self.fresh)

    @property
    def setting(self) -> Setting:
        """What was searched in."""
        return self.bench.setting


def shape(p: ShapeSearch, run: Problem) -> Search:
    """Search the best shape, in each setting if some are varied."""
    if run.exact is not None:
        return (yield from exact(p, run))
    if p.optimum:
        raise UsageError(
            "--optimum: the loss of this workload's runs cannot be computed without training; try the recipe "
            "shape-linear-regression"
        )
    searched: list[Searched] = []
    for setting in settings(p.vary, run, independent=p.weight_decay == "independent"):
        searched += [(yield from search(p, run, setting))]
    return shape_report.answer(p, run, searched)


Searching = Generator[Batch, list[SegmentResult], Searched]


def search(p: ShapeSearch, run: Problem, setting: Setting) -> Searching:
    """The method in one setting: draw, cross with base LRs and seeds, score, train the best again, sweep around them.

    Raises:
        NoValidCandidateError: the best shape of every family diverged.
    """
    bench = Bench(run, setting, p.metric, tuple(sorted(set(p.grid))))
    seeds = tuple(range(run.seed, run.seed + p.seeds))
    fresh = tuple(range(seeds[-1] + 1, seeds[-1] + 1 + p.fresh_seeds))
    spaces = {text: space(text, setting.steps) for text in dict.fromkeys(p.family)}
    references = [reference(text, setting.steps) for text in dict.fromkeys(p.against)]
    shapes = yield from draw(p, bench, spaces, seeds)
    shapes |= {each.name: list(dict.fromkeys(each.gridded())) for each in references}
    # Never by halving: a weak reference would flatter what is compared with it.
    yield from in_full(bench, [shape for each in references for shape in shapes[each.name]], seeds)
    spaces |= {each.name: each for each in references}
    ranked = yield from again(p, bench, spaces, shapes, seeds, fresh)
    found = Searched(bench, spaces, shapes, seeds, fresh, ranked)
    if not math.isfinite(found.best.loss):
        raise NoValidCandidateError("the best shape of every family diverged; lower the base LRs of --grid")
    yield from compare(bench, found)
    if p.sweep and found.best.space.free:
        best = found.best
        found.sweeps = yield from sweep(bench, best.space, best.shape, best.base_lr, p.sweep, fresh)
    return found


def compare(bench: Bench, found: Searched) -> Measuring:
    """Train the best shape and those to compare with again, with seeds that neither picked nor ranked any of them."""
    compared = [found.best, *(each for each in found.references if math.isfinite(each.loss))]
    trials = [Trial(each.shape, each.base_lr, seed) for each in compared for seed in found.unseen]
    if len(compared) > 1:
        yield from bench.try_out("the best shape against tuned ones", trials, last=True)


Drawing = Generator[Batch, list[SegmentResult], dict[str, list[Any]]]


def draw(p: ShapeSearch, bench: Bench, spaces: dict[str, Space], seeds: Sequence[int]) -> Drawing:
    """Draw shapes of each family and score them; a sampler that learns is told the scores as they come.

    Raises:
        UsageError: a family refuses every shape that was drawn.
    """
    sources = {name: samplers.sampler(p.sampler, space, p.draw_seed) for name, space in spaces.items()}
    shapes: dict[str, list[Any]] = {name: [] for name in spaces}
    drawn = 0
    while drawn < p.shapes:
        n = min(min(source.at_once or p.shapes for source in sources.values()), p.shapes - drawn)
        asked = {name: source.ask(n) for name, source in sources.items()}
        found = {name: [spaces[name].at(point) for point in points] for name, points in asked.items()}
        kept = {name: [shape for shape in each if shape is not None] for name, each in found.items()}
        yield from rate(p, bench, kept, seeds)
        for name, each in found.items():
            sources[name].tell(asked[name], [bench.rated(shape, seeds).loss for shape in each])
            shapes[name] = list(dict.fromkeys([*shapes[name], *kept[name]]))
        drawn += n
    for name, kept_of in shapes.items():
        if not kept_of:
            raise nothing_drawn(spaces[name])
    return shapes


Ranking = Generator[Batch, list[SegmentResult], list[Ranked]]


def again(
    p: ShapeSearch,
    bench: Bench,
    spaces: dict[str, Space],
    shapes: dict[str, list[Any]],
    seeds: Sequence[int],
    fresh: Sequence[int],
) -> Ranking:
    """Train the best shapes of each family with fresh seeds, and rank the families by that.

    The best of many scores is partly luck; with fresh seeds that luck is gone.
    """
    kept = {
        name: sorted(each, key=lambda shape: bench.score(shape, seeds).loss)[: p.top] for name, each in shapes.items()
    }
    yield from bench.try_out(
        "the best shapes with fresh seeds",
        [
            Trial(shape, bench.score(shape, seeds).base_lr, seed)
            for each in kept.values()
            for shape in each
            if math.isfinite(bench.score(shape, seeds).loss)
            for seed in fresh
        ],
        last=True,
    )
    ranked = []
    for name, each in kept.items():
        best = min(each, key=lambda shape: bench.score(shape, fresh).loss)
        before, now = bench.score(best, seeds), bench.score(best, fresh)
        ranked.append(Ranked(spaces[name], best, before.base_lr, before.loss, now.loss, len(shapes[name]), before.edge))
    return sorted(ranked, key=lambda each: each.loss)
