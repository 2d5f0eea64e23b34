"""What needs a CUDA device: `pytest -m gpu`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrctl import recipe as recipes
from lrctl import run
from lrctl.job import SegmentJob
from lrctl.loading import load_workload
from lrctl.prepare import prepare
from lrctl.schedule import PiecewiseLinear
from lrctl.trainer import train
from lrctl.worker import quiet_torch

pytestmark = pytest.mark.gpu


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(" ".join(f"{n * n} of {n}" for n in range(3000)))
    return tmp_path / "text.txt"


def gpt(text: Path, **more: object) -> recipes.Recipe:
    """A small GPT with dropout on the GPU."""
    changes = {"workload.name": "gpt", "workload.path": str(text), "workload.tokenizer": "bytes"}
    return recipes.read("smoke", {**changes, "workload.dropout": 0.1, "training.device": "cuda", **more})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_segments_chained_on_a_gpu_equal_one_uninterrupted_run(text: Path, dtype: str) -> None:
    task = prepare(gpt(text, **{"training.dtype": dtype}))
    workload = load_workload(task.workload, task.workload_params, task.seed)
    schedule = PiecewiseLinear(((0, 0.0), (20, 1e-3), (40, 0.0)))
    with quiet_torch(1, task.device):
        whole = train(workload, task, SegmentJob(0, 40, schedule))
        first = train(workload, task, SegmentJob(0, 20, schedule))
        second = train(workload, task, SegmentJob(20, 40, schedule), first.state)
    assert [*first.losses, *second.losses] == list(whole.losses)


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_on_a_gpu_comes_to_its_end(text: Path, tmp_path: Path, executor: str) -> None:
    document = run.search("semilocal", gpt(text, **{"executor.name": executor}), store=tmp_path / "store")
    assert document["eval_loss"] < 5
