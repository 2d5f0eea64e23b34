"""What is the best shape of a schedule? Shapes are drawn independently of the base LR, which is factored out.

Source: "What do near-optimal learning rate schedules look like?" (arXiv 2603.10301).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from lrctl.contracts.strategy import RunSpec, Search, Work
from lrctl.errors import NoValidCandidateError, UsageError
from lrctl_strategies.shape.drawing import by_halving, draw, in_full
from lrctl_strategies.shape.exact import exact
from lrctl_strategies.shape.params import ShapeSearch
from lrctl_strategies.shape.report import answer
from lrctl_strategies.shape.result import RankedFamily, SettingResult
from lrctl_strategies.shape.settings import Setting, settings
from lrctl_strategies.shape.space import space
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
    seeds = tuple(range(run.seed, run.seed + p.score_seeds))
    fresh = tuple(range(seeds[-1] + 1, seeds[-1] + 1 + p.fresh_seeds))
    spaces = {text: space(text, setting.steps) for text in dict.fromkeys(p.family)}
    against = [space(text, setting.steps, "--against") for text in dict.fromkeys(p.against)]
    references = [replace(each, name=f"tuned {each.name}", reference=True) for each in against]
    rate = partial(by_halving, trials, seeds=seeds, top=p.top) if p.halving else partial(in_full, trials, seeds=seeds)
    shapes = yield from draw(p, trials, spaces, seeds, rate)
    gridded = {each.name: each.gridded() for each in references}
    # Never by halving: a weak reference would flatter what is compared with it.
    yield from in_full(trials, gridded, seeds)
    shapes |= gridded
    spaces |= {each.name: each for each in references}
    searched = SettingResult(trials, spaces, shapes, seeds, fresh)
    yield from rank(searched, p.top)
    if not math.isfinite(searched.best.loss):
        raise NoValidCandidateError("the best shape of every family diverged; lower the base LRs of --grid")
    yield from compare(searched)
    if p.sweep and (best := searched.best).space.free:
        searched.sweeps = yield from sweep(trials, best.space, best.shape, best.score.base_lr, p.sweep, fresh)
    return searched


def rank(searched: SettingResult, top: int) -> Work[None]:
    """Train the best shapes of each family with fresh seeds, and rank the families by that.

    The best of many scores is partly luck; with fresh seeds that luck is gone.
    """
    trials, shapes, fresh = searched.trials, searched.shapes, searched.fresh
    scores = {shape: trials.score(shape, searched.seeds) for each in shapes.values() for shape in each}
    kept = {name: sorted(each, key=lambda shape: scores[shape].loss)[:top] for name, each in shapes.items()}
    sound = [shape for each in kept.values() for shape in each if math.isfinite(scores[shape].loss)]
    afresh = [Trial(shape, scores[shape].base_lr, seed) for shape in sound for seed in fresh]
    yield from trials.try_out("the best shapes with fresh seeds", afresh, last=True)
    for name, each in kept.items():
        best = min(each, key=lambda shape: trials.score(shape, fresh).loss)
        loss = trials.score(best, fresh).loss
        searched.ranked.append(RankedFamily(searched.spaces[name], best, scores[best], loss, len(shapes[name])))
    searched.ranked.sort(key=lambda each: each.loss)


def compare(searched: SettingResult) -> Work[None]:
    """Train the best shape and those to compare with again, with seeds that neither picked nor ranked any of them."""
    compared = [searched.best, *(each for each in searched.references if math.isfinite(each.loss))]
    again = [each.trial(seed) for each in compared for seed in searched.unseen]
    if len(compared) > 1:
        yield from searched.trials.try_out("the best shape against tuned ones", again, last=True)
