"""Jobs and observers that fail: what is tried again, and what ends the search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.result import JobResult
from lrctl.engine.prepare import prepare
from lrctl.errors import JobFailedError, UsageError
from lrctl.recipe.schema import Recipe
from lrctl.storage.store import Store
from searches import facts, found, search, smoke

# Failures

NET = """
import os, signal
from pathlib import Path
import torch
from lrctl.errors import UsageError

class Net:
    def __init__(self, seed, folder="", how="raise", times=0):
        self.seed, self.folder, self.how, self.times = seed, Path(folder), how, times

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        torch.manual_seed(step)
        return torch.randn(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0 if split == "test" else 2.0}
"""
FAILING = """
    def batch(self, step):
        tries = self.folder / "tries"
        done = len(tries.read_text()) if tries.exists() else 0
        if step == 4 and done < self.times:
            tries.write_text("x" * (done + 1))
            if self.how == "usage":
                raise UsageError("the data are not there")
            raise FloatingPointError("the moon is full")
        torch.manual_seed(step)
        return torch.randn(4, 2)
"""


def net(folder: Path, extra: str = "", **overrides: Any) -> Recipe:
    """A recipe that trains the class Net of a file in this folder."""
    (folder / "net.py").write_text(NET + extra)
    few = {"strategy__semilocal__segments": 2, "strategy__semilocal__grid_size": 1, "training__steps": 10}
    return smoke(workload__name=f"{folder / 'net.py'}:Net", **few, **overrides)


@pytest.fixture
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look at a workload trains nothing."""
    monkeypatch.setattr("lrctl.checks.purity.check_purity", lambda *_: None)


@pytest.mark.usefixtures("no_probe")
def test_a_job_that_fails_each_time_ends_the_search(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=10**6)
    with pytest.raises(JobFailedError, match=r"failed 3 times, last with FloatingPointError: the moon is full") as end:
        search(place, recipe)
    assert "net.py" in end.value.details
    assert len((tmp_path / "tries").read_text()) == 2 * 9 + 1, "every job of the batch is tried before the third time"
    assert [json.loads(content)["steps"] for _, _, content in facts(place).values()] == [0], "the first look alone"


@pytest.mark.parametrize("kind", ["TypeError", "ValueError", "KeyError", "IndexError", "AttributeError"])
def test_a_mistake_in_the_code_is_met_once(kind: str, tmp_path: Path, place: Path) -> None:
    wrong = FAILING.replace("FloatingPointError", kind)
    with pytest.raises(JobFailedError, match=rf"failed with {kind}: '?the moon is full'? \(net.py, line"):
        search(place, net(tmp_path, wrong, workload__folder=str(tmp_path), workload__times=10**6))
    assert len((tmp_path / "tries").read_text()) == 1


@pytest.mark.usefixtures("no_probe")
def test_a_job_that_fails_once_is_tried_again(tmp_path: Path, place: Path) -> None:
    document = search(place, net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=1))
    attempts = {name: json.loads(content)["attempts"] for name, (_, _, content) in facts(place).items()}
    assert sorted(attempts.values(), reverse=True)[:2] == [2, 1]
    (again,) = (name for name, tries in attempts.items() if tries == 2)
    result = Store(place).record(again.removesuffix(".json"))
    assert result is not None
    assert result.attempts == 2
    sound = search(tmp_path / "sound", net(tmp_path, FAILING, workload__folder=str(tmp_path), workload__times=1))
    assert found(sound) == found(document)


FULL = """
    def model(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
"""


def test_a_job_that_is_too_large_even_alone_ends_the_search_with_advice(tmp_path: Path, place: Path) -> None:
    recipe = net(tmp_path, FULL)
    with (
        pytest.warns(UserWarning, match="a device ran out of memory"),
        pytest.raises(
            JobFailedError, match=r"2\.00 GiB\..*; lower executor\.per_gpu, or raise training\.micro_batches"
        ),
    ):
        search(place, recipe)


@pytest.mark.parametrize("kind", ["UsageError", "MissingError", "type('Own', (UsageError,), {})"])
def test_a_mistake_of_the_user_is_not_tried_again(kind: str, tmp_path: Path, place: Path) -> None:
    raised = FAILING.replace("raise UsageError", f"from lrctl.errors import MissingError, UsageError; raise {kind}")
    recipe = net(tmp_path, raised, workload__folder=str(tmp_path), workload__times=9, workload__how="usage")
    with pytest.raises(UsageError, match=r"^the data are not there$"):
        search(place, recipe)
    assert (tmp_path / "tries").read_text() == "x"


def test_an_optimizer_is_settled_once(tmp_path: Path) -> None:
    own = "\n    def optimizer(self, model):\n        return torch.optim.SGD(model.parameters(), lr=0.0)\n"
    assert prepare(net(tmp_path, own)).optimizer is None
    with pytest.raises(UsageError, match=r"smoke: optimizer: workload .*Net brings its own optimizer"):
        prepare(net(tmp_path, own, optimizer__weight_decay=0.2))
    chosen = prepare(net(tmp_path, own, optimizer__weight_decay=0.2, optimizer__name="adamw")).optimizer
    assert chosen is not None
    assert chosen == AdamW(weight_decay=0.2)


def test_an_observer_that_fails_is_a_warning(place: Path, watch: Callable[..., None]) -> None:
    def fail(_: JobResult) -> None:
        raise ValueError("no")

    watch(after_job=fail)
    with pytest.warns(UserWarning, match="its observer job_finished failed: ValueError: no"):
        search(place)
