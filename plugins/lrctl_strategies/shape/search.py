"""What is the best shape of a schedule? Shapes are drawn independently of the base LR, which is factored out.

Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrctl.contracts.strategy import RunSpec, Search, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.shape import samplers
from lrctl_strategies.shape.exact import exact
from lrctl_strategies.shape.halving import in_full, rate
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.report import answer
from lrctl_strategies.shape.result import RankedFamily, SettingResult
from lrctl_strategies.shape.settings import Setting, settings
from lrctl_strategies.shape.space import Space, nothing_drawn, reference, space
from lrctl_strategies.shape.sweep import sweep
from lrctl_strategies.shape.trials import Trial, Trials


def shape(p: ShapeSearch, run: RunSpec) -> Search:
    if run.exact is not None:
        return (yield from exact(p, run))
    if p.optimum:
        raise UsageError(
            "--optimum: the loss of this workload's runs cannot be computed without training; try the recipe "
            "shape-linear-regression"
        )
    results: list[SettingResult] = []
    for setting in settings(p.vary, run, independent=p.weight_decay == "independent"):
        results += [(yield from search(p, run, setting))]
    return answer(p, run, results)


def search(p: ShapeSearch, run: RunSpec, setting: Setting) -> Work[SettingResult]:
    """In one setting: draw, cross with base LRs and seeds, score, train the best again, sweep around them."""
    trials = Trials(run, setting, p.metric, tuple(sorted(set(p.grid))))
    seeds = tuple(range(run.seed, run.seed + p.seeds))
    fresh = tuple(range(seeds[-1] + 1, seeds[-1] + 1 + p.fresh_seeds))
    spaces = {text: space(text, setting.steps) for text in dict.fromkeys(p.family)}
    references = [reference(text, setting.steps) for text in dict.fromkeys(p.against)]
    shapes = yield from draw(p, trials, spaces, seeds)
    shapes |= {each.name: list(dict.fromkeys(each.gridded())) for each in references}
    # Never by halving: a weak reference would flatter what is compared with it.
    yield from in_full(trials, [shape for each in references for shape in shapes[each.name]], seeds)
    spaces |= {each.name: each for each in references}
    ranked = yield from again(p, trials, spaces, shapes, seeds, fresh)
    searched = SettingResult(trials, spaces, shapes, seeds, fresh, ranked)
    if not math.isfinite(searched.best.loss):
        raise NoValidCandidateError("the best shape of every family diverged; lower the base LRs of --grid")
    yield from compare(searched)
    if p.sweep and searched.best.space.free:
        best = searched.best
        searched.sweeps = yield from sweep(trials, best.space, best.shape, best.base_lr, p.sweep, fresh)
    return searched


def compare(searched: SettingResult) -> Work[None]:
    """Train the best shape and those to compare with again, with seeds that neither picked nor ranked any of them."""
    compared = [searched.best, *(each for each in searched.references if math.isfinite(each.loss))]
    again = [Trial(each.shape, each.base_lr, seed) for each in compared for seed in searched.unseen]
    if len(compared) > 1:
        yield from searched.trials.try_out("the best shape against tuned ones", again, last=True)


def draw(p: ShapeSearch, trials: Trials, spaces: dict[str, Space], seeds: Sequence[int]) -> Work[dict[str, list[Any]]]:
    """Draw shapes of each family and score them; a sampler that learns is told the scores as they come."""
    sources = {name: samplers.sampler(p.sampler, space, p.draw_seed) for name, space in spaces.items()}
    shapes: dict[str, list[Any]] = {name: [] for name in spaces}
    drawn = 0
    while drawn < p.shapes:
        n = min(min(source.at_once or p.shapes for source in sources.values()), p.shapes - drawn)
        asked = {name: source.ask(n) for name, source in sources.items()}
        members = {name: [spaces[name].at(point) for point in points] for name, points in asked.items()}
        kept = {name: [shape for shape in each if shape is not None] for name, each in members.items()}
        yield from rate(p, trials, kept, seeds)
        for name, each in members.items():
            sources[name].tell(asked[name], [trials.rated(shape, seeds).loss for shape in each])
            shapes[name] = list(dict.fromkeys([*shapes[name], *kept[name]]))
        drawn += n
    for name, kept_of in shapes.items():
        if not kept_of:
            raise nothing_drawn(spaces[name])
    return shapes


def again(
    p: ShapeSearch,
    trials: Trials,
    spaces: dict[str, Space],
    shapes: dict[str, list[Any]],
    seeds: Sequence[int],
    fresh: Sequence[int],
) -> Work[list[RankedFamily]]:
    """Train the best shapes of each family with fresh seeds, and rank the families by that.

    The best of many scores is partly luck; with fresh seeds that luck is gone.
    """
    scores = {shape: trials.score(shape, seeds) for each in shapes.values() for shape in each}
    kept = {name: sorted(each, key=lambda shape: scores[shape].loss)[: p.top] for name, each in shapes.items()}
    sound = [shape for each in kept.values() for shape in each if math.isfinite(scores[shape].loss)]
    afresh = [Trial(shape, scores[shape].base_lr, seed) for shape in sound for seed in fresh]
    yield from trials.try_out("the best shapes with fresh seeds", afresh, last=True)
    ranked = []
    for name, each in kept.items():
        best = min(each, key=lambda shape: trials.score(shape, fresh).loss)
        before = scores[best]
        ranked.append(
            RankedFamily(
                space=spaces[name],
                shape=best,
                base_lr=before.base_lr,
                loss=trials.score(best, fresh).loss,
                score=before.loss,
                drawn=len(shapes[name]),
                edge=before.edge,
            )
        )
    return sorted(ranked, key=lambda each: each.loss)
