"""The user's code is part of what decides a result, wherever it stands, and what runs is what the files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lrctl as api
from command_line import Lrctl
from searches import settled

TRAIN = """
import torch

SCALE = 1.0

def loss(model, batch):
    return SCALE * (model(batch) - 1).square().mean()
"""

NET = """
import torch

class Net:
    def __init__(self, seed): pass
    def model(self): return torch.nn.Linear(1, 1)
    def batch(self, step): return torch.ones(2, 1)
    def loss(self, model, batch):
        from train import loss
        return loss(model, batch)
    def evaluate(self, model, split): return {"loss": float(self.loss(model, self.batch(0)))}
"""

SHORT = ["--recipe", "smoke", "--workload", "net.py:Net", "--steps", "4", "--json", "--quiet"]
LOCAL = ["local", *SHORT, "--segments", "2", "--grid", "0.1", "--grid-size", "1", "--set", "optimizer.name=adamw"]


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return edited(1.0)


def edited(scale: float) -> Path:
    """The module beside the workload, with one number in it, as long as ever."""
    Path("train.py").write_text(TRAIN.replace("1.0", str(scale)))
    return Path("train.py")


@pytest.mark.usefixtures("net")
def test_the_same_command_after_an_edit_of_another_module_is_another_search(lrctl: Lrctl) -> None:
    command = [*LOCAL, "--executor", "serial"]
    first = lrctl(*command).document
    edited(9.0)
    second = lrctl(*command).document
    assert second["run"] != first["run"]
    assert second["cost"]["jobs_reused"] == 0
    assert second["test_loss"] > 2 * first["test_loss"]
    edited(1.0)
    assert lrctl(*command).document == first


@pytest.mark.usefixtures("net")
def test_runs_of_other_code_are_not_compared(lrctl: Lrctl) -> None:
    command = [*LOCAL, "--executor", "serial"]
    first = lrctl(*command).document["run"]
    edited(9.0)
    second = lrctl(*command).document["run"]
    done = lrctl("compare", first, second)
    assert done.code == 2
    assert "the digest of data and code: " in done.error
    assert {row["run"] for row in lrctl("runs", "--json").document["runs"]} == {first, second}


@pytest.mark.usefixtures("net")
def test_a_run_of_that_name_made_with_other_code_is_refused_and_fresh_replaces_it(lrctl: Lrctl) -> None:
    command = [*LOCAL, "--executor", "serial", "--name", "mine"]
    first = lrctl(*command).document
    edited(9.0)
    done = lrctl(*command)
    assert (done.code, "--name mine: this run was made with other settings, data or code" in done.error) == (2, True)
    assert lrctl(*command, "--fresh").document["test_loss"] > 2 * first["test_loss"]


@pytest.mark.usefixtures("net")
def test_jobs_of_another_seed_run_the_code_as_it_is(lrctl: Lrctl) -> None:
    command = [
        "greedy",
        *SHORT,
        "--executor",
        "serial",
        "--seeds",
        "1,2",
        "--optimizer",
        "sgd",
        "--against",
        "constant",
    ]
    command += ["--initial-lr", "0.01"]
    first = lrctl(*command).document
    edited(9.0)
    again = lrctl(*command).document
    assert again["train_loss"] > 2 * first["train_loss"]


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_from_a_notebook_runs_a_module_as_it_is_after_an_edit(executor: str) -> None:
    def search(**options: Any) -> dict[str, Any]:
        settings = {"workload.name": "net.py:Net", "optimizer.name": "adamw", "training.steps": 4}
        settings |= {"strategy.local.segments": 2, "strategy.local.grid": [0.1], "strategy.local.grid_size": 1}
        own = {"executor.workers": 1} if executor == "processes" else {}
        return api.search("local", "smoke", settings={**settings, "executor.name": executor, **own}, **options)

    first = search()
    edited(9.0)
    assert search(fresh=True)["test_loss"] > 2 * first["test_loss"]
    edited(1.0)
    assert settled(search(fresh=True)) == settled(first)


PACKAGE = {
    "__init__": "",
    "data": """
import torch

class Data(torch.utils.data.Dataset):
    def __len__(self): return 16
    def __getitem__(self, i): return torch.full((1,), float(i % 3))
""",
    "net": """
import torch
from .data import Data

class Net:
    def __init__(self, seed, start):
        loader = torch.utils.data.DataLoader(Data(), 4, num_workers=1, multiprocessing_context=start, collate_fn=pile)
        self.batches = list(loader)
    def model(self): return torch.nn.Linear(1, 1)
    def batch(self, step): return self.batches[step % 4]
    def loss(self, model, batch): return (model(batch) - 1).square().mean()
    def evaluate(self, model, split): return {"loss": float(self.loss(model, self.batch(0)))}

def pile(rows): return torch.stack(rows)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize(("start", "executor"), [("spawn", "serial"), ("forkserver", "processes")])
def test_the_workers_of_a_data_loader_know_the_user_s_classes(start: str, executor: str, lrctl: Lrctl) -> None:
    Path("pkg").mkdir()
    for name, source in PACKAGE.items():
        Path("pkg", f"{name}.py").write_text(source)
    own = ["--workload", "pkg/net.py:Net", "--set", f"workload.start={start}", "--executor", executor]
    done = lrctl(*LOCAL, *own)
    assert (done.code, done.err) == (0, "")
