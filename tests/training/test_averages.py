"""Averages of weights: what they are, that they depend on the step alone, and that judge and answer are the same."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrctl as package
import searches
from lrctl.averaging import PowerEMA
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import AdamW, ScheduleFree
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine.prepare import spec_of
from lrctl.errors import UsageError
from lrctl.recipe.workloads import load_workload
from lrctl.storage import checkpoint
from lrctl.testing import Constant
from lrctl.training.averages import NORM_BATCHES
from lrctl.training.passes import seed_all
from lrctl.training.trainer import Trained, train

pytestmark = pytest.mark.usefixtures("as_in_a_job")

SPEC = TrainSpec("mine.py:Noisy", {}, "", 0, AdamW(weight_decay=0.0), averaging=(2.0, 8.0))
RAMP = PiecewiseLinear(((0, 0.0), (5, 0.1), (30, 0.05)))


class Noisy:
    """A layer that learns to copy a number from noise, tied to another name; and, if asked, batch normalisation."""

    def __init__(self, *, norm: bool = False, reserve: int = 8, dtype: torch.dtype = torch.float32) -> None:
        self.norm, self.reserve, self.dtype = norm, reserve, dtype

    def model(self) -> Any:
        middle = nn.BatchNorm1d(6) if self.norm else nn.Tanh()
        model: Any = nn.Sequential(nn.Linear(6, 6), middle, nn.Linear(6, 6), nn.Linear(6, 1)).to(self.dtype)
        model[2].weight = model[0].weight
        return model

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return torch.randn(8, 6, dtype=self.dtype)

    def score_batch(self, i: int) -> Tensor:
        if i >= self.reserve:
            raise IndexError
        return torch.randn(8, 6, generator=torch.Generator().manual_seed(i)).to(self.dtype)

    def loss(self, model: Any, batch: Tensor) -> Tensor:
        wrong: Tensor = model(batch)[:, 0].float() - batch[:, 0].float() + 0.3 * torch.randn(len(batch))
        return wrong.square().mean()

    @torch.no_grad()
    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        batch = torch.randn(64, 6, generator=torch.Generator().manual_seed(len(split))).to(self.dtype)
        return {"loss": float((model(batch)[:, 0].float() - batch[:, 0].float()).square().mean())}


def reference(path: list[Tensor], power: float) -> Tensor:
    """The average of weights along a path, in float64 and from its definition."""
    average = path[0].double()
    for t, weights in enumerate(path, 1):
        beta = (1 - 1 / t) ** (power + 1)
        average = beta * average + (1 - beta) * weights.double()
    return average


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("power", [0.0, 4.0, 16.0])
def test_an_average_is_what_its_definition_says(power: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(4, 3).to(dtype)
    averages, path = PowerEMA(model, (power,)), []
    for _ in range(60):
        with torch.no_grad():
            model.weight += torch.randn(3, 4, generator=generator).to(dtype)
        averages.update()
        path.append(model.weight.detach().clone())
        found = averages.averages[power]["weight"]
        assert torch.allclose(found.double(), reference(path, power), atol=1e-5 if dtype != torch.float64 else 1e-12)
    if power == 0:
        assert torch.allclose(found.double(), torch.stack(path).double().mean(0), atol=1e-5)
    one_off = reference([path[0], *path[:-1]], power)
    assert not torch.allclose(found.double(), one_off, atol=1e-2)


def test_training_averages_the_weights_after_each_update() -> None:
    path = [train(Noisy(), SPEC, SegmentJob(0, stop, RAMP)).state["model"]["0.weight"] for stop in range(1, 13)]
    state = train(Noisy(), SPEC, SegmentJob(0, 12, RAMP)).state["averages"]
    assert state["updates"] == 12
    for power in SPEC.averaging:
        found = state["averages"][f"{power:g}"]["0.weight"]
        assert torch.allclose(found.double(), reference(path, power), atol=1e-6)


def chained(workload: Any, cuts: tuple[int, ...], schedule: Any = RAMP) -> Trained:
    state = None
    for start, stop in pairwise((0, *cuts, 12)):
        job = SegmentJob(start, stop, schedule, score_batches=8, evaluate=("validation", "test"))
        trained = train(workload, SPEC, job, state)
        state = checkpoint.round_trip(trained.state)
    return trained


@pytest.mark.parametrize("workload", [Noisy(), Noisy(norm=True), Noisy(dtype=torch.bfloat16)], ids=["", "norm", "bf16"])
def test_a_run_that_is_cut_anywhere_has_the_same_averages(workload: Any) -> None:
    whole = chained(workload, ())
    for cuts in ((5,), tuple(range(1, 12))):
        cut = chained(workload, cuts)
        assert (cut.scores, cut.metrics, cut.weights) == (whole.scores, whole.metrics, whole.weights)
        for power, averages in cut.state["averages"]["averages"].items():
            for name, average in averages.items():
                assert torch.equal(average, whole.state["averages"]["averages"][power][name])


def test_averages_of_a_state_that_has_none_begin_there() -> None:
    plain = train(Noisy(), replace(SPEC, averaging=()), SegmentJob(0, 6, RAMP)).state
    after = (train(Noisy(), replace(SPEC, averaging=()), SegmentJob(6, stop, RAMP), plain) for stop in (7, 8))
    path = [plain["model"]["0.weight"].clone(), *(each.state["model"]["0.weight"] for each in after)]
    found = train(Noisy(), SPEC, SegmentJob(6, 8, RAMP), plain).state["averages"]
    expected = path[0].double()
    for t in (7, 8):
        expected = expected.lerp(path[t - 6].double(), 1 - (1 - 1 / t) ** 9)
    assert found["updates"] == 8
    assert torch.allclose(found["averages"]["8"]["0.weight"].double(), expected, atol=1e-6)


def test_averages_change_no_loss_and_runs_that_share_a_beginning_share_them() -> None:
    plain = train(Noisy(), replace(SPEC, averaging=()), SegmentJob(0, 12, RAMP))
    kept = train(Noisy(), SPEC, SegmentJob(0, 12, RAMP))
    assert kept.losses.tobytes() == plain.losses.tobytes()
    start = train(Noisy(), SPEC, SegmentJob(0, 6, RAMP)).state
    before = start["averages"]["averages"]["8"]["0.weight"].clone()
    for lr in (0.2, 0.01):
        other = PiecewiseLinear(((0, 0.0), (5, 0.1), (6, RAMP(6)), (30, lr)))
        apart, branch = (
            train(Noisy(), SPEC, SegmentJob(begin, 12, other), state).state["averages"]["averages"]["8"]
            for begin, state in ((0, None), (6, start))
        )
        assert all(torch.equal(average, branch[name]) for name, average in apart.items())
    assert torch.equal(start["averages"]["averages"]["8"]["0.weight"], before), (
        "what a job starts from is left as it is"
    )


class Shown(Noisy):
    """Remembers the models that it evaluated."""

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        self.seen = {name: value.clone() for name, value in model.state_dict().items()}
        return super().evaluate(model, split)


@pytest.mark.parametrize("norm", [False, True], ids=["", "norm"])
@pytest.mark.parametrize("reserve", [8, 0], ids=["scores", "validation"])
def test_what_is_scored_evaluated_and_handed_over_are_the_same_weights(
    norm: bool, reserve: int, tmp_path: Path
) -> None:
    workload = Shown(norm=norm, reserve=reserve)
    job = SegmentJob(0, 60, Constant(0.1), score_batches=8, evaluate=("validation", "test"))
    trained = train(workload, replace(SPEC, averaging=(4.0, 16.0)), job)
    assert trained.weights.startswith("average"), "at a constant LR an average is better than the last weights"
    checkpoint.save(tmp_path / "it.safetensors", trained.state)
    weights = package.load_weights(tmp_path / "it.safetensors")
    assert weights.keys() == workload.seen.keys()
    assert all(torch.equal(value, workload.seen[name]) for name, value in weights.items())
    model = workload.model()
    model.load_state_dict(weights)
    model.eval()
    assert Noisy.evaluate(workload, model, "test") == trained.metrics["test"]
    last = package.load_weights(tmp_path / "it.safetensors", average=0)
    assert all(torch.equal(value, trained.state["model"][name]) for name, value in last.items())
    with pytest.raises(UsageError, match="it has no average 3; choose from 0, 4, 16"):
        package.load_weights(tmp_path / "it.safetensors", average=3)


def test_the_best_is_chosen_and_the_last_weights_win_where_nothing_was_averaged() -> None:
    job = SegmentJob(0, 60, Constant(0.1), score_batches=8)
    found = {power: train(Noisy(), replace(SPEC, averaging=(power,)), job) for power in (1.0, 4.0, 16.0)}
    plain = train(Noisy(), replace(SPEC, averaging=()), job)
    best = train(Noisy(), replace(SPEC, averaging=tuple(found)), job)
    means = [float(np.mean(each.scores)) for each in (plain, *found.values())]
    assert float(np.mean(best.scores)) == min(means)
    assert best.extra_forwards == 8 * 4
    assert train(Noisy(), SPEC, SegmentJob(0, 3, Constant(0.0), score_batches=8)).weights == "last"


def test_statistics_of_batch_normalisation_are_those_of_the_average_over_the_last_batches() -> None:
    workload = Noisy(norm=True)
    trained = train(workload, SPEC, SegmentJob(0, 60, Constant(0.1), evaluate=("test",)))
    found, model = trained.state["evaluated"], workload.model()
    model.load_state_dict({**trained.state["model"], **found, "2.weight": found["0.weight"]})
    inputs = []
    for step in range(44, 60):
        seed_all(0, step, torch.device("cpu"))
        inputs.append(model[0](workload.batch(step)))
    assert torch.allclose(found["1.running_mean"], torch.stack([x.mean(0) for x in inputs]).mean(0), atol=1e-5)
    assert not torch.allclose(found["1.running_mean"], trained.state["model"]["1.running_mean"], atol=1e-3)


def norms_measured(trained: Trained) -> int:
    return trained.extra_forwards - 8 * (1 + len(SPEC.averaging))


def test_statistics_of_an_average_are_measured_once_and_kept() -> None:
    job = SegmentJob(0, 60, Constant(0.1), score_batches=8, evaluate=("validation", "test"))
    trained = train(Noisy(norm=True), SPEC, job)
    assert norms_measured(trained) == NORM_BATCHES * len(SPEC.averaging)
    again = train(Noisy(norm=True), SPEC, replace(job, start=60), checkpoint.round_trip(trained.state))
    assert (again.scores, again.metrics, again.extra_forwards) == (trained.scores, trained.metrics, 0)
    assert checkpoint.digest_of_state(again.state) == checkpoint.digest_of_state(trained.state)


def test_weights_of_another_average_than_the_chosen_one_come_with_a_warning_where_statistics_are_not_its(
    tmp_path: Path,
) -> None:
    for norm in (False, True):
        trained = train(Noisy(norm=norm), SPEC, SegmentJob(0, 60, Constant(0.1), evaluate=("test",)))
        path, chosen = tmp_path / f"{norm}.safetensors", float(trained.weights.removeprefix("average "))
        checkpoint.save(path, trained.state)
        for name, value in package.load_weights(path, average=chosen).items():
            assert torch.equal(value, package.load_weights(path)[name])
        (other,) = {*SPEC.averaging} - {chosen}
        with pytest.warns(UserWarning, match="are those of the last weights, not of") if norm else nullcontext():
            weights = package.load_weights(path, average=other)
        assert torch.equal(weights["2.weight"], trained.state["averages"]["averages"][f"{other:g}"]["0.weight"])


class Stream(Noisy):
    """Counts its batches instead of the steps."""

    at = 0

    def carry(self, state: Any) -> None:
        self.at = 0 if state is None else state["at"]

    def carried(self) -> dict[str, int]:
        return {"at": self.at}

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        self.at += 1
        return torch.randn(8, 6, generator=torch.Generator().manual_seed(self.at))


def test_batch_normalisation_of_an_average_needs_batches_that_can_be_drawn_again() -> None:
    with pytest.raises(UsageError, match="the model of Stream has batch normalisation, whose statistics an average"):
        train(Stream(norm=True), SPEC, SegmentJob(0, 2, RAMP))
    assert train(Stream(), SPEC, SegmentJob(0, 2, RAMP)).losses.shape == (2,)


def test_a_search_judges_and_hands_over_the_same_weights(tmp_path: Path) -> None:
    small = searches.small(
        training__averaging=[4, 16], strategy__baseline__grid=[0.1], strategy__baseline__family=["linear"]
    )
    for command in ("semilocal", "lookahead", "baseline"):
        found = searches.search(tmp_path, small, command)
        assert found["weights"] in ("last", "average 4", "average 16")
        trained: Any = load_workload(small.workload.name, small.workload.changed, 0)
        model = trained.model()
        model.load_state_dict(package.load_weights(found["files"]["checkpoint"]))
        assert trained.evaluate(model, "test")["loss"] == pytest.approx(found["test_loss"], rel=1e-6)
        assert all("weights" in entry for entry in found.get("results", ()))
        again = searches.search(tmp_path, small, command)
        assert searches.settled(again) == searches.settled(found)


def test_only_where_they_are_used_they_are_part_of_a_key() -> None:
    job, plain = SegmentJob(0, 3, Constant(0.1)), searches.smoke()
    none = spec_of(searches.smoke(training__averaging=[]), None, "")
    some = spec_of(searches.smoke(training__averaging=[4, 8]), None, "")
    assert job.key(none) == job.key(spec_of(plain, None, "")) != job.key(some)


WRONG = {
    "twice": ({"training__averaging": [4, 4]}, "averaging: must be different numbers"),
    "0, which stands for the last weights": (
        {"training__averaging": [0, 4]},
        "averaging: must be different numbers greater than 0, up to 1000, got",
    ),
    "negative": ({"training__averaging": [-1]}, "averaging: must be different numbers"),
    "of a program": (
        {"training__averaging": [4], "workload__name": "program", "workload__command": "true"},
        "training.averaging: workload program is a program, which decides that itself",
    ),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_averaged_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        spec_of(searches.smoke(**given), None, "")


def test_an_optimizer_that_averages_is_not_averaged_again() -> None:
    with pytest.raises(UsageError, match=r"training.averaging: optimizer ScheduleFree keeps an average of its own"):
        train(Noisy(), replace(SPEC, optimizer=ScheduleFree()), SegmentJob(0, 2, RAMP))


# In a loop of one's own


def loop(averages: PowerEMA, model: Any, optimizer: Any, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        Noisy().loss(model, torch.randn(8, 6)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        averages.update()


def test_a_loop_of_ones_own_resumes_chooses_and_gets_its_weights_back() -> None:
    def fresh() -> tuple[Any, Any, PowerEMA]:
        torch.manual_seed(0)
        model = Noisy().model()
        return model, torch.optim.SGD(model.parameters(), 0.05), PowerEMA(model, (2, 8))

    (model, optimizer, whole), (other, second, cut) = fresh(), fresh()
    loop(whole, model, optimizer, range(80))
    loop(cut, other, second, range(40))
    state = checkpoint.round_trip(cut.state_dict())
    resumed = PowerEMA(other, (2, 8))
    resumed.load_state_dict(state)
    loop(resumed, other, second, range(40, 80))
    assert all(
        torch.equal(average, resumed.averages[power][name])
        for power, averages in whole.averages.items()
        for name, average in averages.items()
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    best = whole.best(lambda: Noisy().evaluate(model, "validation")["loss"])
    assert best in (2.0, 8.0)
    with whole.weights(best):
        assert torch.equal(model[0].weight, whole.averages[best]["0.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert whole.best(lambda: float("nan")) is None
