"""Each task under GreedyLR: through the engine, and cut in two."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searches
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.recipe.workloads import load_workload
from lrctl.storage import checkpoint
from lrctl.training.trainer import train
from lrctl_schedules.greedy import Greedy
from workloads.finetune import tiny_models as tiny
from workloads.finetune.tiny_models import Folder

STEPS = 20
CUT = 7
ADAMW = optimizers.AdamW(weight_decay=0.1)


def digest_of(state: Any) -> str:
    """A state's content."""
    tensors: dict[str, Any] = {}
    return checkpoint.digest_of(str(checkpoint.pack(state, "", tensors, {})), tensors)


@pytest.mark.parametrize("task", tiny.ABLE)
def test_a_run_under_greedy_lr_that_is_cut_has_the_bits_of_one_that_is_not(
    task: str, model: Folder, data: Folder, tmp_path: Path
) -> None:
    workload = load_workload(task, tiny.workload(task, model(tiny.ABLE[task][0]), data(task)), 0)
    workload.prepare()  # type: ignore[attr-defined]
    schedule = Greedy(3e-3, patience=0, window_size=3, factor=0.7)
    about = TrainSpec(task, {}, "", 0, ADAMW)
    whole = train(workload, about, SegmentJob(0, STEPS, schedule))
    first = train(workload, about, SegmentJob(0, CUT, schedule))
    digest = checkpoint.save(tmp_path / "cut", first.state)
    second = train(workload, about, SegmentJob(CUT, STEPS, schedule), checkpoint.load(tmp_path / "cut", digest))
    assert np.concatenate([first.losses, second.losses]).tobytes() == whole.losses.tobytes()
    assert first.lrs + second.lrs == whole.lrs
    assert digest_of(second.state) == digest_of(whole.state)
    assert len(set(whole.lrs)) > 2


@pytest.mark.parametrize("task", tiny.ABLE)
def test_greedy_lr_is_compared_with_another_schedule(task: str, model: Folder, data: Folder, tmp_path: Path) -> None:
    given = tiny.workload(task, model(tiny.ABLE[task][0]), data(task), batch_size=2)
    recipe = searches.smoke(
        workload__name=task,
        training__steps=STEPS,
        strategy__greedy__initial_lr=["0.003"],
        strategy__greedy__against=["linear"],
        **{f"workload__{name}": value for name, value in given.items()},
    )
    document = searches.search(tmp_path / "store", recipe, "greedy")
    (row,) = document["rows"]
    assert document["cost"]["steps_trained"] >= 2 * STEPS
    assert all(map(math.isfinite, [*row["greedy_losses"], *row["losses"], document["test_loss"]]))
    assert row["greedy_losses"] != row["losses"]
