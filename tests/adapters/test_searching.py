"""`lrctl.search` on parts: from a script, a notebook, a file; by name, in this process, and in another one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import lrctl as api
from command_line import Lrctl
from lrctl.adapters.held import held
from lrctl.errors import UsageError

SMALL = {"training.steps": 8, "executor.name": "serial", "strategy.local.segments": 1, "strategy.local.grid": [0.1]}

SOURCE = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

import lrctl

X = torch.arange(400.0).reshape(100, 4).sin()
SCALE = 1.0


class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 1)


def mean(x, how="mean"):
    return SCALE * x.mean() if how in {"mean", "average", "avg"} else x.sum()


def loss(model, batch):
    x, = batch
    return mean((model(x) - x.sum(1, keepdim=True)).square())


parts = dict(model=Net, train=TensorDataset(X[:60]), held_out=TensorDataset(X[60:]), loss=loss, batch_size=8)
"""
SEARCH = f"""
workload = lrctl.workload(**parts)

if __name__ == "__main__":
    for given in ({{"workload": workload}}, parts):
        found = lrctl.search("local", "smoke", settings={SMALL!r}, **given)
        print(found["workload"], found["run"], found["test_loss"])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parts(**more: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(SOURCE, names)
    return {**names["parts"], **more}


def searched(**more: Any) -> dict[str, Any]:
    return api.search("local", "smoke", settings=SMALL, **more)


def test_parts_are_searched_on_in_this_process() -> None:
    first = searched(**parts())
    assert first["test_loss"] > 0
    assert searched(**parts()) == first
    assert searched(workload=api.workload(**parts())) == first


def test_other_parts_are_another_search() -> None:
    runs = {
        searched(**parts(**more))["run"]
        for more in ({}, {"batch_size": 4}, {"clip_norm": 0.1}, {"model": lambda: nn.Linear(4, 1)})
    }
    assert len(runs) == 4


def test_a_file_names_its_workload_in_worker_processes_too(lrctl: Lrctl) -> None:
    Path("train.py").write_text(SOURCE + "workload = lrctl.workload(**parts)\n")
    flags = ("--recipe", "smoke", "--workload", "train.py:workload", "--steps", "8", "--segments", "1", "--grid", "0.1")
    done = lrctl("local", *flags, "--executor", "serial", "--json", "--quiet").document
    assert done["test_loss"] == searched(**parts())["test_loss"]
    other = lrctl("local", *flags, "--set", "workload.batch_size=4", "--executor", "serial", "--json", "--quiet")
    assert other.document["test_loss"] != done["test_loss"]
    done = lrctl("local", *flags, "--set", "workload.batchsize=4")
    assert done.code == 2
    assert "unknown parameter 'batchsize'; did you mean 'batch_size'?" in done.error
    done = lrctl("local", *flags[:3], "train.py:work")
    assert "train.py:work: unknown class; did you mean 'workload'?" in done.error


def test_a_script_searches_on_its_file_or_on_its_objects_and_another_process_goes_on_with_these(folder: Path) -> None:
    Path("script.py").write_text(SOURCE + SEARCH)
    done = subprocess.run([sys.executable, "script.py"], check=True, capture_output=True, text=True)
    file, objects = (line.split() for line in done.stdout.splitlines())
    assert file[0] == f"{folder / 'script.py'}:workload"
    again = searched(**parts())
    assert objects[1:] == [again["run"], str(again["test_loss"])]
    assert file[2] == objects[2]


def test_a_workload_of_a_module_is_named_by_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("whole.py").write_text(SOURCE + "workload = lrctl.workload(**parts)\n")
    monkeypatch.syspath_prepend(str(folder))
    import whole  # type: ignore[import-not-found]

    try:
        assert searched(workload=whole.workload)["workload"] == f"{folder / 'whole.py'}:workload"
    finally:
        del sys.modules["whole"]


def test_objects_of_this_process_are_searched_on_one_job_after_another_and_this_is_said() -> None:
    with pytest.warns(
        UserWarning, match="the parts are objects of this process, .* jobs run here, one after another"
    ) as told:
        side_by_side = api.search("local", "smoke", settings={**SMALL, "executor.name": "processes"}, **parts())
    assert told[0].filename == __file__
    assert side_by_side["run"] == searched(**parts())["run"]


def test_objects_of_another_process_are_told_as_that() -> None:
    with pytest.raises(UsageError, match=r"live in the process that gave them; give them again there"):
        held("0")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workload": "gpt", "loss": abs}, "workload: loss are given beside it"),
        ({"workload": object()}, "workload: must be a name, a class or what lrctl.workload returns, got a object"),
        ({"model": abs}, "missing a required"),
        ({"modell": abs}, "unknown argument .*; did you mean 'model'"),
        ({"worklod": "gpt"}, "unknown argument .*; did you mean 'workload'"),
        ({"train": lambda: 0}, "missing a required"),
    ],
)
def test_parts_of_which_no_workload_can_be_made_are_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"lrctl.search: .*{said}"):
        searched(**given)


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"lrctl.workload: it cannot be told what it holds \(TypeError: .*; put it into a"
    ):
        searched(**parts(train=[(each for each in "ab")] * 9))
