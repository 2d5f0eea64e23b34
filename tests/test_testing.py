"""Every built-in part keeps its contract, and each check fails on a part that breaks it."""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import torch
from torch import Tensor, nn

from lrctl import testing
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import Failure, JobRecord
from lrctl.contracts.schedule import AdaptiveSchedule, Observation, Scope, UpdateContext
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult
from lrctl.engine.worker import attempt
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from lrctl.registry.values import build
from lrctl_schedules.constant import Constant, ConstantWithWarmup
from lrctl_schedules.cosine import Cosine
from lrctl_schedules.cycles import CosineWithRestarts, Cyclical
from lrctl_schedules.generalized_cosine import GeneralizedCosine
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.inverse import InverseSqrt, InverseTime
from lrctl_schedules.line_search import LineSearch
from lrctl_schedules.linear import Linear, Polynomial
from lrctl_schedules.one_cycle import OneCycle
from lrctl_schedules.plateau import Plateau
from lrctl_schedules.power import Power
from lrctl_schedules.rex import Rex
from lrctl_schedules.smooth import SmoothNonMonotonic
from lrctl_schedules.square_root import SquareRoot
from lrctl_schedules.step import StepDecay
from lrctl_schedules.symmetric import Quadratic, Triangle
from lrctl_schedules.two_point import TwoPointLinear, TwoPointSpline
from lrctl_schedules.wsd import WSD

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

SCHEDULES: dict[str, list[Any]] = {
    "piecewise-linear": [
        PiecewiseLinear(((0, 0.1),)),
        PiecewiseLinear(((0, 0.0), (7, 0.3), (60, 0.0))),
        PiecewiseLinear(((10, 0.1), (20, 1e-12))),
    ],
    "wsd": [
        WSD(60, 0.3),
        WSD(60, 0.3, 0.0, 0.0),
        WSD(60, 0.3, 13, 29, 0.1, "1-sqrt", "steps"),
        WSD(60, 0.3, 0.25, 0.75, cooldown="exponential"),
    ],
    "cosine": [Cosine(60, 0.3), Cosine(60, 0.3, 0.0, 0.1), Cosine(60, 0.3, 60, lengths="steps", rise="exponential")],
    "linear": [Linear(60, 0.3), Linear(60, 0.3, 0.0, 0.1), Linear(60, 0.3, 60, lengths="steps")],
    "polynomial": [Polynomial(60, 0.3), Polynomial(60, 0.3, 7, 0.5, 0.1, "steps"), Polynomial(60, 0.3, power=0.0)],
    "constant": [Constant(60, 0.3), Constant(60, 0.0)],
    "constant-with-warmup": [ConstantWithWarmup(60, 0.3), ConstantWithWarmup(60, 0.3, 2.5, "steps", rise="cosine")],
    "triangle": [Triangle(60, 0.3), Triangle(7, 1e-9)],
    "quadratic": [Quadratic(60, 0.3), Quadratic(7, 1e-9)],
    "step": [StepDecay(60, 0.3), StepDecay(60, 0.3, 7, 0.5, "steps"), StepDecay(60, 0.3, 0.1, 0.0)],
    "inverse-time": [InverseTime(60, 0.3), InverseTime(60, 0.3, 0, 1000, "steps")],
    "inverse-sqrt": [InverseSqrt(60, 0.3), InverseSqrt(60, 0.3, 0, 1000, "steps")],
    "cosine-with-restarts": [
        CosineWithRestarts(60, 0.3),
        CosineWithRestarts(60, 0.3, 4, 3, 2.0, 0.1, "steps"),
        CosineWithRestarts(60, 0.3, 1.0),
    ],
    "one-cycle": [
        OneCycle(60, 0.3),
        OneCycle(60, 0.3, 0.0),
        OneCycle(60, 0.3, 60, 0.1, 0.01, "linear", "steps"),
    ],
    "cyclical": [Cyclical(60, 0.3), Cyclical(60, 0.3, 3, 0.0, 1.0, 0.5), Cyclical(60, 0.3, 7, 0.1, 0.0)],
    "rex": [Rex(60, 0.3), Rex(60, 0.3, 7, 3.0, 0.1, "steps", rise="polynomial"), Rex(60, 0.3, 0.0, 1e-3)],
    "power": [Power(60, 0.3), Power(60, 0.3, 0, 7, 2.0, 0, "steps"), Power(60, 0.3, 0.5, 0.1, 1.0, 0.5)],
    "generalized-cosine": [GeneralizedCosine(60, 0.3), GeneralizedCosine(60, 0.3, 7, 0.5, 0.1, "steps", rise="cosine")],
    "square-root": [
        SquareRoot(60, 0.3),
        SquareRoot(60, 0.3, 1, 0.01, "steps"),
        SquareRoot(60, 0.3, 0.5, 5.0, rise="exponential"),
    ],
    "two-point-linear": [
        TwoPointLinear(60, 0.3),
        TwoPointLinear(60, 0.3, 7, 0.8, 0.0, 1.0, 0.5, 0.2, "steps", rise="polynomial"),
        TwoPointLinear(60, 0.3, 0.0, 0.8, 0.3, 0.3),
    ],
    "two-point-spline": [
        TwoPointSpline(60, 0.3),
        TwoPointSpline(60, 0.3, 7, 0.8, 0.0, 1.0, 0.5, 0.2, "steps", rise="cosine", rise_rate=5.0),
        TwoPointSpline(60, 0.3, 0.0, 0.8, 0.3, 0.3),
    ],
    "smooth-non-monotonic": [
        SmoothNonMonotonic(60, 0.3),
        SmoothNonMonotonic(60, 0.3, 0.9, 0.7, 0.1, 0.5, 0.8, 0.5, 0.3),
        SmoothNonMonotonic(60, 0.3, 0.0, 0.0, 0.5, 1.0, 0.2, 1.0, 0.5),
    ],
    "greedy": [
        Greedy(0.3),
        Greedy((0.3, 0.1), patience=0, factor=0.5, reset_start=2, window_size=2, cooldown=1, warmup=1),
        Greedy((0.3, 0.3), "authors", patience=0, smooth=False, reset_start=3, cooldown=1, warmup=1),
        Greedy(0.3, "paper", "max", 0.5, 0, reset_start=4, threshold_mode="rel"),
        Greedy(0.3, patience=0, min_lr=(0.2,), max_lr=0.0, reset_start=None),
    ],
    "plateau": [Plateau(0.3), Plateau((0.3, 0.0), patience=0, cooldown=1, min_lr=(0.1, 0.0), mode="max")],
    "hypergradient": [
        Hypergradient(0.3),
        Hypergradient(0.3, 0.5, "group", max_lr=0.4),
        Hypergradient(0.3, 0.5, "element"),
        *(Hypergradient(0.3, 0.5, scope, None) for scope in get_args(Scope)),
    ],
    "line-search": [LineSearch(), LineSearch(0.01, 0.5, 0.5, 4.0, 1, 0.02, 2)],
}


@pytest.mark.parametrize(("name", "params"), STRATEGIES.values(), ids=STRATEGIES)
def test_a_built_in_strategy_keeps_its_contract(name: str, params: dict[str, Any]) -> None:
    part = registry().get("strategy", name)
    testing.check_strategy(part.target, build(part.params, params, name), LONG.get(name, 60))


@pytest.mark.parametrize("name", [part.name for part in registry().of("schedule")])
def test_a_built_in_schedule_keeps_its_contract(name: str) -> None:
    family = registry().get("schedule", name).target
    for schedule in SCHEDULES[name]:
        assert type(schedule) is family
        if isinstance(schedule, AdaptiveSchedule):
            testing.check_adaptive_schedule(schedule, [3.0, 2.0, 2.5, math.nan, 1.0, 1.5, math.inf, 0.5])
        else:
            testing.check_schedule(schedule, 60)


WITHOUT_MODELS = [
    part.name
    for part in registry().of("workload")
    if "finetune" not in part.target.__module__ and "program" not in part.marks
]
"""Workloads that lrctl trains, and that need no model of the hub; tests/workloads/finetune has tiny models."""


@pytest.mark.parametrize("name", WITHOUT_MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_built_in_workload_keeps_its_contract(
    name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    words = random.Random(0).choices(["a", "cat", "sat", "on", "the", "mat"], k=4000)
    (tmp_path / "text.txt").write_text(" ".join(words))
    if name == "images" and importlib.util.find_spec("sklearn") is None:
        pytest.skip("needs scikit-learn: pip install 'lrctl[images]'")
    small = {"path": str(tmp_path / "text.txt"), "tokenizer": "bytes", "d_model": 8, "heads": 2, "dropout": 0.1}
    part = registry().get("workload", name)
    params = build(part.params, small if name == "gpt" else {}, name)
    testing.check_workload(part.target(params, seed))


@pytest.mark.parametrize("name", [part.name for part in registry().of("executor")])
def test_a_built_in_executor_keeps_its_contract(name: str, tmp_path: Path) -> None:
    if name == "ray":
        pytest.skip("starts take seconds: tests/executors/test_ray.py has one for all of its tests")
    part = registry().get("executor", name)
    params = build(part.params, {"workers": 1} if name == "processes" else {}, name)
    testing.check_executor(part.target(params, partial(attempt, tmp_path)), SPEC, JOBS)


SPEC = replace(
    testing.SPEC,
    workload="linear-regression",
    workload_params={"dim": 2, "batch_size": 4, "noise": 0.1},
    optimizer=AdamW(),
)
JOBS = [SegmentJob(0, 3, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2)]


# Parts that break it

count = itertools.count()


@dataclass(frozen=True)
class Nan:
    lr: float = 0.1

    def __call__(self, step: float) -> float:
        return math.nan if step == 5 else self.lr


@dataclass(frozen=True)
class Negative:
    lr: float = 0.1

    def __call__(self, step: float) -> float:
        return self.lr - 0.01 * step


@dataclass(frozen=True)
class Restless:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr + next(count)


@dataclass(frozen=True, eq=False)
class Unequal:
    lr: float = 0.1

    def __call__(self, _step: float) -> float:
        return self.lr


@dataclass(frozen=True, eq=False)
class Lonely(Unequal):
    def __hash__(self) -> int:
        return 0


@dataclass(frozen=True)
class Capped:
    steps: int = 20
    peak_lr: float = 0.4

    def __call__(self, _step: float) -> float:
        return min(self.peak_lr, 0.5)


@dataclass(frozen=True)
class Rooted(Capped):
    def __call__(self, _step: float) -> float:
        return math.sqrt(self.peak_lr)


@dataclass(frozen=True)
class Hasty(Capped):
    half_life: float = 10.0

    def __call__(self, step: float) -> float:
        return self.peak_lr * math.pow(0.5, step / self.half_life)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("constant", "cannot be called"),
        (Unequal(), "equal schedules must have equal hashes"),
        (Nan(), "gives nan at step 5"),
        (Negative(), "gives -0.0"),
        (Restless(), "gives two values at step 0"),
        (Lonely(), "comes back from JSON as"),
        (Capped(), r"is not linear in peak_lr at step 0: 0\.5, not 1\.2"),
        (Rooted(), "is not linear in peak_lr at step 0"),
        (Hasty(), r"stretched to twice its steps, has LR 0\.34\d* at step 2, not 0\.37"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_schedules_finds_what_is_broken(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_schedule(schedule, 20)


@dataclass(frozen=True)
class Counting:
    """A sound one: the LR falls with the number of updates."""

    lr: float = 0.1

    def init(self) -> Any:
        return {"n": 0}

    def __call__(self, _step: int, state: Any) -> float:
        return float(self.lr / (1 + state["n"]))

    def update(self, state: Any, _seen: Observation) -> Any:
        return {"n": state["n"] + 1}


@dataclass(frozen=True)
class NanLater(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        return math.nan if state["n"] > 1 else self.lr


@dataclass(frozen=True)
class NegativeLater(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        return self.lr - float(state["n"])


@dataclass(frozen=True)
class Meddling(Counting):
    def update(self, state: Any, _seen: Observation) -> Any:
        state["n"] += 1
        return state


@dataclass(frozen=True)
class Forgetful(Counting):
    def init(self) -> Any:
        return {0: 0}

    def __call__(self, _step: int, _state: Any) -> float:
        return self.lr

    def update(self, state: Any, _seen: Observation) -> Any:
        return {0: state.get(0, 0) + 1}


@dataclass(frozen=True)
class Reckless(Counting):
    def update(self, _state: Any, seen: Observation) -> Any:
        return {"n": math.inf if seen.step else 0}


@dataclass(frozen=True)
class Several(Counting):
    """Two LRs."""

    scope: Scope = "group"

    def __call__(self, _step: int, state: Any) -> Any:
        return self.lr, self.lr - 0.04 * state["n"]


@dataclass(frozen=True)
class SeveralSigned(Several):
    signed: bool = True


@dataclass(frozen=True)
class Fickle(Counting):
    def __call__(self, _step: int, _state: Any) -> float:
        return self.lr + next(count)


@dataclass(frozen=True)
class Consuming(Counting):
    def __call__(self, _step: int, state: Any) -> float:
        state["n"] += 1
        return self.lr


@dataclass(frozen=True)
class Probe(Counting):
    """A sound one that keeps an array."""

    scope: Scope = "element"

    def init(self) -> Any:
        return {"n": 0, "lrs": None}

    def __call__(self, _step: int, state: Any) -> Any:
        return self.lr if state["lrs"] is None else tuple(state["lrs"])

    def probe(self, state: Any, context: UpdateContext) -> Any:
        return {**state, "lrs": [(product * 0.1).clip(0.0, context.slope()) for product in context.products("element")]}

    def update(self, state: Any, _seen: Observation) -> Any:
        return {**state, "n": state["n"] + 1}


@dataclass(frozen=True)
class BelowZero(Probe):
    def probe(self, state: Any, context: UpdateContext) -> Any:
        return {**state, "lrs": list(context.products("element"))}


@dataclass(frozen=True)
class MeddlingProbe(Probe):
    def probe(self, state: Any, context: UpdateContext) -> Any:
        state["lrs"] = context.products("element")
        return state


class LonelyCounting(Counting):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Counting.__hash__


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (PiecewiseLinear(((0, 0.1),)), r"lacks init\(\) or update\(\)"),
        (LonelyCounting(), "comes back from JSON as"),
        (NanLater(), "gives nan at step 2"),
        (NegativeLater(), "gives -0.9 at step 1"),
        (Meddling(), r"update\(\) changed the state it was given"),
        (Forgetful(), "the state lost by JSON"),
        (Reckless(), r"the state {'n': inf} cannot be saved: Out of range float values"),
        (Several(0.06), r"gives -0.02\d* at step 2"),
        (Several(1.0, "global"), "gives several LRs, but its scope is global"),
        (Fickle(), "gives two values at step 0"),
        (Consuming(), "asking for the LR changed the state"),
        (BelowZero(), r"gives -0.\d* at step 0"),
        (MeddlingProbe(), r"probe\(\) changed the state it was given"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_adaptive_schedules_finds_what_is_broken(schedule: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_adaptive_schedule(schedule, [3.0, 2.0, 1.0])


@pytest.mark.parametrize(
    "schedule", [Counting(), Several(1.0), SeveralSigned(0.06), Probe()], ids=["one LR", "several", "signed", "probing"]
)
def test_the_check_of_adaptive_schedules_passes_a_sound_one(schedule: Any) -> None:
    testing.check_adaptive_schedule(schedule, [3.0, math.nan, 1.0, 0.5])


@dataclass(frozen=True)
class Params:
    lr: Annotated[float, "the LR of every step"] = 0.1


@dataclass(frozen=True)
class Mute:
    lr: float = 0.1


def flat(params: Any, run: RunSpec) -> Search:
    """A sound one: two halves at one LR."""
    schedule = PiecewiseLinear(((0, params.lr),))
    half = run.steps // 2
    (first,) = yield Batch("half", [SegmentJob(0, half, schedule)])
    (second,) = yield Batch("all", [SegmentJob(half, run.steps, schedule, first.key)])
    return SearchResult(schedule, second.key)


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


class Sound:
    def prepare(self) -> str:
        return "digest"

    def model(self) -> nn.Module:
        return nn.Linear(2, 1)

    def batch(self, step: int) -> Tensor:
        return torch.full((3, 2), 1.0 + step)

    def loss(self, model: Any, batch: Tensor) -> Tensor:
        loss: Tensor = model(batch).square().mean()
        return loss

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        return {"loss": float(self.loss(model, self.batch(len(split))))}


class TwoDigests(Sound):
    def prepare(self) -> str:
        return str(next(count))


class NoScalar(Sound):
    def loss(self, model: Any, batch: Tensor) -> Tensor:
        return super().loss(model, batch).repeat(2)


class NoGradient(Sound):
    def loss(self, model: Any, batch: Tensor) -> Tensor:
        return super().loss(model, batch).detach()


class OtherBatches(Sound):
    def batch(self, step: int) -> Tensor:
        return super().batch(step) + next(count)


class OtherMetrics(Sound):
    def evaluate(self, _model: Any, split: str) -> dict[str, float]:
        return {"loss": len(split) + next(count)}


class OneSplit(Sound):
    def evaluate(self, model: Any, _split: str) -> dict[str, float]:
        return super().evaluate(model, "test")


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (nn.Linear(1, 1), "Linear lacks model, batch, loss or evaluate"),
        (TwoDigests(), r"prepare\(\) gave two digests"),
        (NoScalar(), r"must return a scalar tensor, .* got a tensor of shape \(2,\); return its mean"),
        (NoGradient(), "got one without a gradient"),
        (OtherBatches(), r"OtherBatches: batch: batch\(0\) gave another batch when it was asked for again"),
        (OtherMetrics(), "evaluating validation twice gave different metrics"),
        (OneSplit(), "validation and test have the same metrics"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_check_of_workloads_finds_what_is_broken(workload: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_workload(workload)


def test_the_check_of_workloads_passes_a_sound_one() -> None:
    testing.check_workload(Sound())


@dataclass
class Fake:
    """A sound executor that runs nothing."""

    closed: int = 0
    change: Callable[[list[JobRecord]], list[JobRecord]] = field(default=lambda results: results)
    closes: int = 3
    once: bool = False

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        if self.once and self.closed:
            return
        yield from self.change([JobRecord(job.key(spec), "ok", 1.0) for job in jobs])

    def close(self) -> None:
        self.closed += 1
        assert self.closed <= self.closes, "closed too often"


def fail_last(results: list[JobRecord]) -> list[JobRecord]:
    return [*results[:-1], replace(results[-1], status="failed", failure=Failure("ValueError", "why"))]


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        (object(), "object lacks run or close"),
        (Fake(change=lambda results: results[:-1]), "not one result per job"),
        (Fake(change=lambda results: results + results[:1]), "not one result per job"),
        (Fake(change=fail_last), "a job failed: .*why"),
        (Fake(closes=1), "closed too often"),
        (Fake(once=True), "does not run again"),
    ],
    ids=["no executor", "too few", "too many", "failed", "closed once", "used once"],
)
def test_the_check_of_executors_finds_what_is_broken(executor: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        testing.check_executor(executor, SPEC, JOBS)


def test_the_check_of_executors_passes_a_sound_one_and_closes_it() -> None:
    sound = Fake(change=lambda results: results[::-1])
    testing.check_executor(sound, SPEC, JOBS)
    assert sound.closed == 3


# Scripted searches


def test_a_scripted_search_meets_the_landscape_it_is_given() -> None:
    found, batches = testing.play(flat, Params(), 10, lambda job: job.stop / 10)
    assert [[(job.start, job.stop) for job in batch.jobs] for batch in batches] == [[(0, 5)], [(5, 10)]]
    assert found.schedule == PiecewiseLinear(((0, 0.1),))


def test_a_scripted_loss_that_is_infinite_is_divergence() -> None:
    script = testing.Scripted(lambda job: math.inf if job.start else 1.0)
    first, second = script.run_batch(Batch("b", [JOBS[0], replace(JOBS[0], start=1)]))
    assert (first.status, first.mean_loss) == ("ok", 1.0)
    assert (second.status, second.mean_loss) == ("diverged", math.inf)
