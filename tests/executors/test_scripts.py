"""Scripts that begin a search with worker processes, as people write them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lrctl.errors import UsageError
from lrctl.recipe.workloads import load_workload

SEARCH = """
print("begins")
result = lrctl.search("semilocal", "smoke", settings={"executor.name": "processes", "executor.workers": 1, WORKLOAD})
print(result["status"], result["cost"]["jobs"])
"""

PLAIN = "import lrctl" + SEARCH.replace(", WORKLOAD", ', "strategy.semilocal.segments": 2')

OWN = """
import lrctl
import torch

class Net:
    def __init__(self, seed): ...

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.randn(4, 2, generator=torch.Generator().manual_seed(step))

    def loss(self, model, batch):
        return (model(batch).squeeze(1) - batch.sum(1)).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, torch.ones(4, 2)))}
""" + SEARCH.replace("WORKLOAD", '"workload.name": __file__ + ":Net"')


def as_file(folder: Path, script: str) -> list[str]:
    (folder / "train.py").write_text(script)
    return ["train.py"]


def as_stdin(folder: Path, script: str) -> list[str]:
    del folder, script
    return ["-"]


@pytest.mark.parametrize("how", [as_file, as_stdin])
def test_a_search_needs_no_guard_and_no_file(how: Callable[[Path, str], list[str]], tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", *how(tmp_path, PLAIN)]
    done = subprocess.run(command, cwd=tmp_path, input=PLAIN, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    begins, found = done.stdout.splitlines()
    assert (begins, found.split()[0]) == ("begins", "done"), "a worker ran the script"


def test_a_script_that_trains_its_own_class_needs_a_guard_and_says_so(tmp_path: Path) -> None:
    as_file(tmp_path, OWN)
    with pytest.raises(UsageError, match=r"train\.py: .* put that under if __name__ == '__main__'"):
        load_workload(f"{tmp_path / 'train.py'}:Net", {}, 0)


def test_the_same_script_with_a_guard_runs_once(tmp_path: Path) -> None:
    head, tail = OWN.split(SEARCH[:10])
    as_file(tmp_path, head + "\nif __name__ == '__main__':\n    " + (SEARCH[1:10] + tail).replace("\n", "\n    "))
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "begins"
    assert len(done.stdout.splitlines()) == 2
