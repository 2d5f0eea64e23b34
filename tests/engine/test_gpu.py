"""What needs a CUDA device: `pytest -m gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine import run
from lrctl.engine.prepare import prepare
from lrctl.errors import UsageError
from lrctl.planning.estimate import check_memory
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import load_workload
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    # What torch and its compiler warn of on a GPU is not seen where these tests are written, and is no fault of a job.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRCTL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text(" ".join(f"{n * n} of {n}" for n in range(3000)))
    return tmp_path / "text.txt"


def gpt(text: Path, **more: object) -> Recipe:
    """A small GPT with dropout on the GPU."""
    changes = {"workload.name": "gpt", "workload.path": str(text), "workload.tokenizer": "bytes"}
    return recipes.read("smoke", {**changes, "workload.dropout": 0.1, "training.device": "cuda", **more})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_segments_chained_on_a_gpu_equal_one_uninterrupted_run(text: Path, dtype: str) -> None:
    spec = prepare(gpt(text, **{"training.dtype": dtype}))
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    schedule = PiecewiseLinear(((0, 0.0), (20, 1e-3), (40, 0.0)))
    with quiet_torch(1, spec.device):
        whole = train(workload, spec, SegmentJob(0, 40, schedule))
        first = train(workload, spec, SegmentJob(0, 20, schedule))
        second = train(workload, spec, SegmentJob(20, 40, schedule), first.state)
    assert [*first.losses, *second.losses] == list(whole.losses)


@pytest.mark.parametrize(
    "options",
    [{"tf32": True}, {"dtype": "bfloat16"}, {"compile": True}, {"micro_batches": 4}],
    ids=lambda options: next(iter(options)),
)
def test_options_of_training_on_a_gpu_give_losses_that_are_near(text: Path, options: dict[str, Any]) -> None:
    recipe = gpt(text, **{"workload.dropout": 0.0, "workload.d_model": 64})
    plain, spec = prepare(recipe), replace(prepare(recipe), **options)
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    losses = []
    for each in (plain, spec):
        before = torch.get_float32_matmul_precision()
        with quiet_torch(1, each.device, tf32=each.tf32):
            losses.append(train(workload, each, SegmentJob(0, 20, PiecewiseLinear(((0, 1e-3),)))).losses)
        assert torch.get_float32_matmul_precision() == before
    assert losses[0].tobytes() != losses[1].tobytes()
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize(
    "options", [{}, {"dtype": "bfloat16"}, {"compile": True}], ids=["plain", "bfloat16", "compiled"]
)
def test_a_frozen_job_gives_the_same_losses_without_its_updates_on_a_gpu(text: Path, options: dict[str, Any]) -> None:
    spec = replace(prepare(gpt(text)), **options)
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.0),)))
    with quiet_torch(1, spec.device):
        full, forward = train(workload, spec, job), train(workload, spec, replace(job, checkpoint=False))
    assert forward.losses.tobytes() == full.losses.tobytes()


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_on_a_gpu_comes_to_its_end(text: Path, tmp_path: Path, executor: str) -> None:
    result = run.search("semilocal", gpt(text, **{"executor.name": executor}), store=tmp_path / "store")
    assert result.test_loss is not None
    assert result.test_loss < 5


def test_jobs_side_by_side_on_a_gpu_give_what_one_after_another_gives(text: Path, tmp_path: Path) -> None:
    found = []
    for per_gpu in (1, 3):
        recipe = gpt(text, **{"executor.name": "processes", "executor.per_gpu": per_gpu, "training.stop_early": False})
        result = run.search("semilocal", recipe, store=tmp_path / str(per_gpu))
        found.append((result.schedule, result.test_loss, result.segments))
    assert found[0] == found[1]


def test_more_jobs_than_fit_on_a_gpu_are_refused_with_the_number_that_fits(text: Path, tmp_path: Path) -> None:
    recipe = gpt(text, **{"executor.name": "processes", "executor.per_gpu": 10_000})
    with pytest.raises(UsageError, match=r"10000 jobs side by side on a GPU need .* set executor\.per_gpu=\d+"):
        check_memory("semilocal", recipe, store=tmp_path)


LARGE = """
from pathlib import Path
import torch

class Net:
    def __init__(self, seed, marker):
        self.marker = Path(marker)

    def model(self):
        if not self.marker.exists():
            self.marker.touch()
            torch.empty(2**50, dtype=torch.uint8, device="cuda")
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0}
"""


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_job_that_ran_out_of_memory_on_a_gpu_is_tried_again(executor: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(LARGE)
    workload = {"workload.name": f"{tmp_path / 'net.py'}:Net", "workload.marker": str(tmp_path / "marker")}
    recipe = recipes.read("smoke", {**workload, "training.device": "cuda", "executor.name": executor})
    with pytest.warns(UserWarning, match="a device ran out of memory"):
        result = run.search("semilocal", recipe, store=tmp_path / "store")
    assert result.test_loss == 1.0
