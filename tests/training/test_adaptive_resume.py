"""A run whose LRs are decided on the way can be cut anywhere, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.schedule import Scope
from lrctl.recipe.workloads import load_workload
from lrctl.training.trainer import train
from lrctl_schedules.greedy import Greedy
from lrctl_schedules.hypergradient import Hypergradient
from lrctl_schedules.line_search import LineSearch
from lrctl_schedules.plateau import Plateau
from training.chaining import CUTS, STEPS, chained, digest_of, same_state

LINEAR = load_workload("linear-regression", {}, 0)
SGD = optimizers.SGD(momentum=0.5, nesterov=True, weight_decay=0.01)
ADAMW = optimizers.AdamW(weight_decay=0.1)
RUNS: dict[str, tuple[Any, optimizers.OptimizerSettings]] = {
    **{f"hypergradient, {scope}, sgd": (Hypergradient(0.05, 0.02, scope), SGD) for scope in get_args(Scope)},
    **{f"hypergradient, {scope}, adamw": (Hypergradient(0.05, 1e-3, scope), ADAMW) for scope in get_args(Scope)},
    "line search": (LineSearch(4.0, growth_steps=2), optimizers.SGD()),
    "greedy, hf": (Greedy(0.05, factor=0.5, patience=1, window_size=5, reset_start=2, cooldown=1), ADAMW),
    "greedy, authors": (Greedy((0.05,), "authors", factor=0.5, patience=0, reset_start=5, warmup=1), ADAMW),
    "greedy, paper": (Greedy(0.05, "paper", factor=0.5, smooth=False, patience=1, reset_start=20), ADAMW),
    "plateau": (Plateau(0.05, factor=0.5, patience=1, cooldown=1), ADAMW),
}


pytestmark = pytest.mark.usefixtures("as_in_a_job")


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(("schedule", "settings"), RUNS.values(), ids=RUNS)
def test_segments_chained_through_checkpoints_are_the_uninterrupted_run(
    schedule: Any, settings: optimizers.OptimizerSettings, cuts: tuple[int, ...], tmp_path: Path
) -> None:
    spec = TrainSpec("linear-regression", {}, "", 0, settings)
    whole = train(LINEAR, spec, SegmentJob(0, STEPS, schedule))
    parts, state = chained(LINEAR, spec, schedule, cuts, tmp_path)
    assert np.concatenate([part.losses for part in parts]).tobytes() == whole.losses.tobytes()
    assert [lr for part in parts for lr in part.lrs] == whole.lrs
    assert sum(part.extra_forwards for part in parts) == whole.extra_forwards
    assert same_state(state, whole.state)
    assert len(set(whole.lrs)) > 2


def test_siblings_leave_the_state_they_start_from_as_it_is() -> None:
    spec = TrainSpec("linear-regression", {}, "", 0, SGD)
    schedule = Hypergradient(0.05, 0.02, "element")
    start = train(LINEAR, spec, SegmentJob(0, 5, schedule)).state
    before = digest_of(start)
    first, second = (train(LINEAR, spec, SegmentJob(5, 12, schedule), start) for _ in range(2))
    assert digest_of(start) == before
    assert first.losses.tobytes() == second.losses.tobytes()


def test_a_schedule_of_another_kind_starts_afresh() -> None:
    spec = TrainSpec("linear-regression", {}, "", 0, optimizers.SGD())
    first = train(LINEAR, spec, SegmentJob(0, 10, Hypergradient(0.05, 0.02, "element"))).state
    for schedule in (Plateau(0.07), Greedy(0.07), LineSearch(0.07, gamma=1.0)):
        assert train(LINEAR, spec, SegmentJob(10, 12, schedule), first).lrs[0] == 0.07
    changed = replace(Greedy(0.07), max_lr=0.1)
    state = train(LINEAR, spec, SegmentJob(0, 4, Greedy(0.07, patience=0, smooth=False)), None).state
    assert train(LINEAR, spec, SegmentJob(4, 5, changed), state).lrs == [state["schedule"]["lrs"][0]]
