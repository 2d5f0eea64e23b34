"""What may change, break or talk under a search: files, checkpoints, other searches, the user's own code."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lrctl import cli
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch
from lrctl.engine.divergence import judge
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.errors import JobFailedError, NoValidCandidateError, StoreError, UsageError
from lrctl.planning.estimate import estimate
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Divergence, Recipe
from lrctl.storage.checkpoint import load
from lrctl.storage.store import Store
from searches import facts, found, search, session_of, small, smoke

NET = """
import torch

class Net:
    def __init__(self, seed):
        pass

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2) * (step % 3)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(model(torch.ones(1, 2))) ** 2}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


def net(folder: Path, source: str = NET, **overrides: Any) -> Recipe:
    """A recipe of 2 segments that trains the class Net of a file in this folder."""
    (folder / "net.py").write_text(source)
    few = {"strategy__semilocal__segments": 2, "strategy__semilocal__grid_size": 1, "training__steps": 10}
    return smoke(workload__name=f"{folder / 'net.py'}:Net", **few, **overrides)


def test_a_changed_file_is_another_search_even_in_one_process(tmp_path: Path, place: Path) -> None:
    before = search(place, net(tmp_path))
    changed = NET.replace("torch.ones(4, 2) *", "torch.ones(4, 2) * 10 *")
    after = search(place, net(tmp_path, changed))
    assert after["run"] != before["run"]
    assert after["train_loss"] != before["train_loss"]
    assert after["cost"]["jobs_reused"] == 0
    assert found(after) == found(search(tmp_path / "sound", net(tmp_path, changed)))


HINGE = NET.replace("model(batch).square().mean()", "(0.5 - model(batch)).clamp(min=0).mean()").replace(
    "torch.ones(4, 2) * (step % 3)", "torch.ones(4, 2)"
)


@pytest.mark.parametrize("factor", [1.0, 0.1, 30.0])
def test_a_validation_loss_of_another_kind_than_the_training_loss_is_told(
    factor: float, tmp_path: Path, place: Path
) -> None:
    """Such as an accuracy, which would be minimised."""
    same = 'return {"loss": float((model(torch.ones(1, 2)) - 3).square())}'
    source = NET.replace("model(batch).square().mean()", "(model(batch) - 3).square().mean()")
    source = source.replace(
        'return {"loss": float(model(torch.ones(1, 2))) ** 2}', same.replace("float(", f"{factor} * float(")
    )
    notes = " ".join(search(place, net(tmp_path, source))["notes"])
    assert ("means of the same kind in a sound workload" in notes) is (factor != 1.0)


@pytest.mark.parametrize(("lost", "told"), [({"stopped"}, True), ({"stopped", "kept"}, False)])
def test_losses_that_are_not_kept_end_no_search(lost: set[str], told: bool) -> None:
    """Of a job that was stopped there are none, and `lrctl gc` may take those of another."""

    def losses(key: str) -> Any:
        if key in lost:
            raise StoreError("missing")
        return {"loss": [30.0]}

    job = SegmentJob(0, 5, PiecewiseLinear(((0, 0.1), (5, 0.1))))
    runner: Any = SimpleNamespace(
        seen={"stopped": job, "kept": job}, done=lambda key: key == "kept", store=SimpleNamespace(losses=losses)
    )
    assert bool(Session(runner, smoke(), untrained=1.0).odd_loss()) is told


def test_a_loss_that_is_0_for_every_lr_ends_no_search(tmp_path: Path, place: Path) -> None:
    """As that of a hinge, once all is told apart."""
    document = search(place, net(tmp_path, HINGE, strategy__semilocal__grid=(0.5, 1.0)))
    assert [each["mean_loss"] for each in document["segments"][-1]["candidates"]] == [0.0, 0.0]


def test_a_run_of_a_given_name_notices_that_the_file_has_changed(tmp_path: Path, place: Path) -> None:
    search(place, net(tmp_path), name="mine")
    with pytest.raises(UsageError, match="--name mine: this run was made with other settings"):
        search(place, net(tmp_path, NET + "\n"), name="mine")


def test_a_file_that_changes_during_a_search_ends_it(tmp_path: Path, place: Path) -> None:
    told = "its data or code changed while the search runs; give the same command again"
    with session_of(place, net(tmp_path)) as session:
        (tmp_path / "net.py").write_text(NET + "\n")
        with pytest.raises(UsageError, match=told):
            session.run_batch(Batch("", [SegmentJob(0, 2, PiecewiseLinear(((0, 0.1),)))]))


@pytest.mark.parametrize("kept", [None, 0, 8, 30, 500, -1])
def test_a_finished_run_whose_checkpoint_is_gone_or_cut_off_makes_it_again(kept: int | None, place: Path) -> None:
    document = search(place)
    checkpoint = Store(place).checkpoint(document["checkpoint"])
    before, content = facts(place), checkpoint.read_bytes()
    if kept is None:
        checkpoint.unlink()
    else:
        checkpoint.write_bytes(content[:kept])
    assert found(search(place)) == found(document)
    load(checkpoint, Store(place).record(document["checkpoint"]).digests["checkpoint"])  # type: ignore[union-attr]
    assert facts(place).keys() == before.keys()


def test_a_job_that_another_search_has_done_meanwhile_is_not_trained_again(place: Path) -> None:
    recipe = small()
    spec = prepare(recipe)
    job = SegmentJob(0, 4, PiecewiseLinear(((0, 0.1),)))
    with session_of(place, recipe) as one, session_of(place, recipe) as other:
        assert not one.runner.known(job.key(spec))
        other.run_batch(Batch("", [job]))
        before = facts(place)
        one.run_batch(Batch("", [job]))
    assert facts(place) == before


def test_a_search_without_a_valid_candidate_leaves_no_checkpoints(place: Path) -> None:
    with pytest.raises(NoValidCandidateError):
        search(place, smoke(strategy__semilocal__grid=(1e30,), strategy__semilocal__segments=1))
    assert facts(place, "checkpoints") == {}


@pytest.mark.parametrize("tune", [False, True], ids=["plain", "tune_eps"])
def test_a_held_out_loss_that_is_not_finite_is_told_and_replays(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tune: bool
) -> None:
    net(tmp_path, NET.replace("float(model(torch.ones(1, 2))) ** 2", 'float("nan")'))
    command = f"lrctl semilocal --recipe smoke --executor serial --workload {tmp_path / 'net.py'}:Net --steps 10"
    options = ["--segments", "2", "--grid-size", "1", "--eps", "0.1", "--store", str(place)]
    monkeypatch.setattr("sys.argv", [*command.split(), *options, *(["--tune-eps"] if tune else [])])
    said = []
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code in (0, None)
        said.append(capsys.readouterr().out.partition("cost:")[0])
        for run in (place / "runs").iterdir():
            (run / "result.json").unlink()
    assert "test loss not finite" in said[0]
    assert said[0] == said[1]


def test_what_the_users_code_prints_does_not_get_into_the_document(
    tmp_path: Path, place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    net(
        tmp_path,
        NET.replace("        return torch.nn.Linear", "        print('a model')\n        return torch.nn.Linear"),
    )
    command = f"lrctl semilocal --recipe smoke --workload {tmp_path / 'net.py'}:Net --steps 10 --json --store {place}"
    monkeypatch.setattr("sys.argv", [*command.split(), "--segments", "2", "--executor", "processes", "--workers", "1"])
    with pytest.raises(SystemExit):
        cli.main()
    captured = capfd.readouterr()
    assert json.loads(captured.out)["status"] == "done"
    assert "a model" in captured.err


def test_a_job_whose_last_losses_are_not_finite_is_never_pardoned() -> None:
    jobs = [SegmentJob(0, 10, PiecewiseLinear(((0, lr),))) for lr in (0.1, 0.2)]
    rising = JobRecord("rising", "ok", 1.0, 0, 2.0, 10)
    broken = JobRecord("broken", "ok", 1.0, 1, math.inf, 10)
    diverged, note = judge(Divergence(), jobs, [rising, broken], spread=0.1)
    assert diverged == [False, True]
    assert note


BY_SEED = (
    NET.replace("def __init__(self, seed):\n        pass", "def __init__(self, seed):\n        self.seed = seed")
    + """
    def prepare(self):
        return f"data of seed {self.seed}"
"""
)


def test_a_comparison_over_seeds_takes_data_that_the_seed_decides(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, BY_SEED, strategy__greedy__seeds=[0, 1], strategy__greedy__against=["linear"])
    document = search(place, recipe, "greedy")
    assert [row["seed"] for row in document["rows"]] == [0, 1]


@pytest.mark.parametrize(("lost_from", "expected"), [(10, False), (9, True), (7, True)])
def test_a_run_whose_last_loss_is_not_finite_has_no_training_loss(
    lost_from: int, expected: bool, tmp_path: Path, place: Path
) -> None:
    source = NET.replace("return torch.ones(4, 2) * (step % 3)", f"return torch.ones(4, 2) / (step < {lost_from})")
    job = SegmentJob(0, 10, PiecewiseLinear(((0, 0.01),)), evaluate=("validation",), stages=(5, 10))
    with session_of(place, net(tmp_path, source)) as session:
        (result,) = session.run_batch(Batch("a run", [job], judge=False))
    assert math.isfinite(result.stage_losses[0])
    assert [math.isinf(result.stage_losses[1]), math.isinf(result.train_loss or 0.0)] == [expected, expected]


def test_an_evaluation_without_a_loss_shows_before_anything_is_trained(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, NET.replace('{"loss"', '{"error"'))
    with pytest.raises(
        UsageError, match=r"Net.evaluate: must return metrics by name, 'loss' among them, or the loss alone, got"
    ):
        search(place, recipe)
    assert facts(place) == {}


def test_a_held_out_loss_that_was_never_finite_is_noted(tmp_path: Path, place: Path) -> None:
    document = search(place, net(tmp_path, NET.replace("float(model(torch.ones(1, 2))) ** 2", 'float("inf")')))
    assert any("the test loss was not finite before any training" in note for note in document["notes"])


def test_an_exception_names_the_line_of_the_users_file(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, NET.replace("return model(batch)", "return 1 / 0 * model(batch)"))
    with pytest.raises(JobFailedError, match=r"ZeroDivisionError: division by zero \(net\.py, line 15, in loss\)"):
        search(place, recipe)
    with pytest.raises(UsageError, match=r"raised ZeroDivisionError: division by zero \(net\.py, line 15, in loss\)"):
        estimate("semilocal", recipe, store=place)


RANDOM = NET.replace(
    "        return torch.ones(4, 2) * (step % 3)",
    "        return torch.full((4, 2), random.random() + float(np.random.rand()))",
).replace("import torch", "import random\nimport numpy as np\nimport torch")


def test_random_numbers_of_numpy_and_python_are_a_function_of_seed_and_step(tmp_path: Path, place: Path) -> None:
    np.random.seed(5)
    before = np.random.rand()
    np.random.seed(5)
    first = search(place, net(tmp_path, RANDOM))
    assert np.random.rand() == before, "the numbers of the process itself were disturbed"
    assert found(search(tmp_path / "again", net(tmp_path, RANDOM))) == found(first)


OWN = (
    NET
    + """
    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=9.0)
"""
)


def test_the_users_own_optimizer_is_used_although_the_recipe_names_settings_for_its_workload(
    tmp_path: Path, place: Path
) -> None:
    (tmp_path / "r.toml").write_text(
        "[training]\nsteps = 10\n[optimizer]\nweight_decay = 0.2\n[workload]\nname = 'linear-regression'\n"
        "[executor]\nname = 'serial'\n[strategy.semilocal]\nsegments = 2\ngrid_size = 1\n"
    )
    (tmp_path / "net.py").write_text(OWN)
    recipe = recipes.read(str(tmp_path / "r.toml"), {"workload.name": f"{tmp_path / 'net.py'}:Net"})
    assert prepare(recipe).optimizer is None
    assert search(place, recipe)["status"] == "done"
    conflict = {"workload.name": f"{tmp_path / 'net.py'}:Net", "optimizer.weight_decay": 0.1}
    with pytest.raises(UsageError, match="brings its own optimizer, so these settings would be ignored"):
        prepare(recipes.read(str(tmp_path / "r.toml"), conflict))
