"""The check of strategies for authors of plugins: built-in ones pass it, and what is broken does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from lrctl import testing
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from lrctl.registry.values import build
from testing.trials import Params, count, flat

# The built-in parts

SOURCE = schedule_text(PiecewiseLinear(((0, 0.0), (20, 0.01), (60, 0.001))), 60)
GIVEN: dict[str, dict[str, Any]] = {
    "fit-closed-form": {"source": SOURCE, "family": ("triangle", "linear")},
    "shape": {
        "family": ("rex", "smooth-non-monotonic"),
        "shapes": 2,
        "score_seeds": 2,
        "top": 1,
        "against": ("cosine",),
    },
}
"""What strategies need that cannot do without a parameter, and those that take long by default."""

STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{part.name}, default": (part.name, GIVEN.get(part.name, {})) for part in registry().of("strategy")},
    "semilocal, eps 0": ("semilocal", {"eps": 0.0}),
    "semilocal, one segment": ("semilocal", {"segments": 1}),
    "semilocal, uneven segments": ("semilocal", {"segments": 7, "decay": True}),
    "semilocal, progress": ("semilocal", {"eps": 0.25, "eps_unit": "progress", "grid_size": 2}),
    "semilocal, tuned": ("semilocal", {"eps": 0.01, "tune_eps": True, "segments": 4, "grid_size": 3}),
    "baseline, own grids": ("baseline", {"family": ("wsd", "constant"), "axis": ("decay=0,0.3",), "refine": 2}),
    "baseline, by training loss": ("baseline", {"family": ("triangle",), "metric": "train", "grid": (0.1, 0.01)}),
    "fit-closed-form, tuned": ("fit-closed-form", GIVEN["fit-closed-form"] | {"tune": True, "baseline": ("constant",)}),
    "fit-closed-form, predicted": ("fit-closed-form", GIVEN["fit-closed-form"] | {"predict": True}),
    "shape, halving": ("shape", GIVEN["shape"] | {"halving": True, "shapes": 6, "sweep": 2}),
    "local, one LR": ("local", {"grid": (0.1,), "grid_size": 1}),
    "local, limited": ("local", {"max_lr": 0.01, "segments": 3}),
    "transfer, one rung": ("transfer", {"budget": 0.5, "family": "linear", "score_on": "validation"}),
    "transfer, trained": ("transfer", {"train": True, "max_lr": 0.005}),
}

LONG = {"transfer": 1600}
"""The steps of a run for strategies that refuse short ones."""


@pytest.mark.parametrize(("name", "params"), STRATEGIES.values(), ids=STRATEGIES)
def test_a_built_in_strategy_keeps_its_contract(name: str, params: dict[str, Any]) -> None:
    part = registry().get("strategy", name)
    testing.check_strategy(part.target, build(part.params, params, name), LONG.get(name, 60))


@dataclass(frozen=True)
class Mute:
    lr: float = 0.1


def forgetful(params: Any, run: RunSpec) -> Search:
    found = yield from flat(params, run)
    return replace(found, summary={"n": next(count)})


def wavering(params: Any, run: RunSpec) -> Search:
    yield Batch("a try", [SegmentJob(0, 1, PiecewiseLinear(((0, 0.1 + next(count)),)))])
    return (yield from flat(params, run))


def overrunning(params: Any, run: RunSpec) -> Search:
    return (yield from flat(params, RunSpec(run.steps + 2)))


def short(params: Any, run: RunSpec) -> Search:
    return (yield from flat(params, RunSpec(run.steps - 2)))


def orphaned(params: Any, run: RunSpec) -> Search:
    (result,) = yield Batch("all", [SegmentJob(0, run.steps, PiecewiseLinear(((0, params.lr),)), "nobody")])
    return SearchResult(PiecewiseLinear(((0, params.lr),)), result.key)


def gap(params: Any, run: RunSpec) -> Search:
    (first,) = yield Batch("start", [SegmentJob(0, 5, PiecewiseLinear(((0, params.lr),)))])
    (second,) = yield Batch("end", [SegmentJob(6, run.steps, PiecewiseLinear(((0, params.lr),)), first.key)])
    return SearchResult(PiecewiseLinear(((0, params.lr),)), second.key)


def boasting(params: Any, run: RunSpec) -> Search:
    found = yield from flat(params, run)
    return replace(found, schedule=PiecewiseLinear(((0, params.lr), (run.steps, 0.0))))


@pytest.mark.parametrize(
    ("strategy", "params", "message"),
    [
        (flat, Mute(), "Mute.lr: write its help"),
        (forgetful, Params(), "a replay found something else"),
        (wavering, Params(), "a replay asked for other jobs"),
        (overrunning, Params(), "leaves the run"),
        (orphaned, Params(), "continues from a job that was never asked for"),
        (gap, Params(), "does not start where its parent ends"),
        (short, Params(), "the checkpoint found is not the end of the run"),
        (boasting, Params(), "the schedule is not the one that was trained"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_check_of_strategies_finds_what_is_broken(strategy: Any, params: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_strategy(strategy, params)


def test_the_check_of_strategies_passes_a_sound_one() -> None:
    testing.check_strategy(flat, Params())
