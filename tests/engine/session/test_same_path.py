"""Training from scratch with what was found is the path of the search, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lrctl.analysis.smoothing import final_train_loss
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Observation
from lrctl.contracts.strategy import Batch
from lrctl.engine.prepare import prepare
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import load_workload
from lrctl.registry.schedules import build_schedule
from lrctl.storage.store import Store
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train
from searches import search, session_of, small, smoke
from training.small_gpt import small_gpt


def gpt_recipe(folder: Path) -> Recipe:
    """A GPT of two layers with dropout."""
    few = {"strategy__semilocal__segments": 3, "strategy__semilocal__grid_size": 2, "training__steps": 15}
    return smoke(**{f"workload__{key}": value for key, value in small_gpt(folder).items()}, workload__name="gpt", **few)


PATHS: dict[str, tuple[str, Callable[[Path], Recipe]]] = {
    "eps in nats": ("semilocal", lambda _: small(strategy__semilocal__eps=0.05, training__steps=43)),
    "eps as progress": ("semilocal", lambda _: small(strategy__semilocal__eps_unit="progress")),
    "local": ("local", lambda _: small()),
    "gpt with dropout": ("semilocal", gpt_recipe),
}


@pytest.mark.parametrize(("command", "recipe_in"), PATHS.values(), ids=PATHS)
def test_training_from_scratch_with_the_schedule_found_is_the_path_of_the_search(
    command: str,
    recipe_in: Callable[[Path], Recipe],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    recipe = recipe_in(tmp_path)
    document = search(place, recipe, command)
    assert document["schedule"]["family"] == "piecewise-linear"
    schedule = build_schedule(PiecewiseLinear, document["schedule"]["params"])
    spec, steps = prepare(recipe), recipe.training.steps
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    with quiet_torch(spec.threads):
        again = train(workload, spec, SegmentJob(0, steps, schedule, evaluate=("validation", "test")))
    history = Store(place).history(document["checkpoint"])
    assert again.losses.tobytes() == history["loss"].tobytes()
    assert again.lrs == history["lr"].tolist() == [schedule(step) for step in range(steps)]
    assert again.metrics == document["metrics"]
    assert document["test_loss"] == again.metrics["test"]["loss"]
    assert document["train_loss"] == final_train_loss(again.losses)


@dataclass(frozen=True)
class Bounce:
    """A scripted adaptive schedule: up by half when the loss falls, to a third when it rises."""

    lr: float = 0.05

    def init(self) -> Any:
        return {"lr": self.lr, "last": None}

    def __call__(self, _step: int, state: Any) -> float:
        return float(state["lr"])

    def update(self, state: Any, seen: Observation) -> Any:
        falls = state["last"] is None or seen.loss < state["last"]
        return {"lr": state["lr"] * (1.5 if falls else 1 / 3), "last": seen.loss}


def test_an_adaptive_schedule_goes_on_through_checkpoints(place: Path) -> None:
    with session_of(place, smoke()) as ours:
        whole, first = ours.run_batch(Batch("", [SegmentJob(0, 40, Bounce()), SegmentJob(0, 15, Bounce())]))
        (last,) = ours.run_batch(Batch("", [SegmentJob(15, 40, Bounce(), first.key)], keep=frozenset({whole.key})))
    assert ours.runner.store.history(last.key).tobytes() == ours.runner.store.history(whole.key).tobytes()
