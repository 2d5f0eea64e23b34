"""The length of a run in epochs of the workload's training data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import lrctl as public
from command_line import Lrctl
from lrctl.engine import epochs
from lrctl.engine.epochs import in_epochs, without_steps
from lrctl.errors import UsageError
from searches import smoke

SIZED = """
import torch


class Sized:
    def __init__(self, seed=0, epoch=2.5):
        self.epoch = epoch

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2)

    def loss(self, model, batch):
        return (model(batch) - 1).square().mean()

    def evaluate(self, model, split):
        return {"loss": float(self.loss(model, self.batch(0)))}

    def steps_per_epoch(self):
        return self.epoch / 1


"""
LOCAL = ("local", "--segments", "1", "--grid", "0.1", "--grid-size", "1", "--executor", "serial", "--quiet", "--json")


@pytest.fixture
def own(tmp_path: Path) -> None:
    (tmp_path / "sized.py").write_text(SIZED, encoding="utf-8")


@pytest.mark.parametrize(
    ("asked", "per_epoch", "steps"), [(3, 100.0, 300), (0.1, 7.0, 1), (3, 2.5, 8), (0.3, 10.0, 3), (1e-9, 1.0, 1)]
)
def test_epochs_become_whole_steps_rounded_up(
    asked: float, per_epoch: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "steps_per_epoch", lambda _: per_epoch)
    assert in_epochs(smoke(), asked).training.steps == steps


@pytest.mark.parametrize(("asked", "told"), [(1e300, "inf"), (1e200, "1e+210"), (1.0000001e-3, "10,000,001")])
def test_more_epochs_than_the_longest_run_has_are_refused(
    asked: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "steps_per_epoch", lambda _: 1e10)
    with pytest.raises(UsageError, match=rf"a run has at most 10,000,000 steps, and these are {re.escape(told)}$"):
        in_epochs(smoke(), asked)


def test_without_epochs_a_recipe_is_as_long_as_it_says() -> None:
    assert in_epochs(smoke(), None) == smoke()
    assert without_steps({"training.steps": 5}, None) == {"training.steps": 5}


@pytest.mark.usefixtures("own")
def test_a_search_is_as_long_as_its_epochs(lrctl: Lrctl) -> None:
    by_epochs = lrctl(*LOCAL, "--workload", "sized.py:Sized", "--epochs", "2").document
    assert by_epochs["steps"] == 5
    by_steps = lrctl(*LOCAL, "--workload", "sized.py:Sized", "--steps", "5").document
    assert by_steps["run"] == by_epochs["run"]


@pytest.mark.usefixtures("own")
def test_python_takes_epochs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {"strategy.local.segments": 1, "strategy.local.grid": [0.1], "executor.name": "serial"}
    found = public.search("local", workload="sized.py:Sized", settings=settings, epochs=2, store=tmp_path / "s")
    assert found["steps"] == 5


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--epochs", "2", "--steps", "5"), "--epochs 2: the steps of the run are given too; leave one of them out"),
        (("--epochs", "0"), "--epochs 0: must be a number greater than 0, such as 3"),
        (("--epochs", "nan"), "--epochs nan: must be a number greater than 0, such as 3"),
        (("--epochs", "1", "--set", "workload.epoch=-1"), "steps_per_epoch() must be greater than 0, got -1"),
        (("--epochs", "1", "--set", "workload.epoch=a"), "steps_per_epoch() raised TypeError: "),
        (("--epochs", "1e12"), "--epochs 1e+12: a run has at most "),
    ],
)
def test_epochs_that_make_no_length_are_refused_in_one_sentence(
    lrctl: Lrctl, words: tuple[str, ...], told: str
) -> None:
    done = lrctl(*LOCAL, "--workload", "sized.py:Sized", *words)
    assert done.code == 2
    assert told in done.error


def test_a_workload_that_does_not_know_its_epochs_says_so(lrctl: Lrctl) -> None:
    done = lrctl(*LOCAL, "--recipe", "smoke", "--epochs", "2")
    assert done.code == 2
    assert done.error == (
        "error: --epochs: workload linear-regression does not know how many steps an epoch has; give --steps, or add a "
        "method steps_per_epoch() to it"
    )


def test_code_that_nobody_named_is_not_run_for_its_epochs() -> None:
    with pytest.raises(UsageError, match="names code"):
        in_epochs(replace(smoke(), refused="it names code"), 1)


def test_images_know_their_epochs() -> None:
    pytest.importorskip("sklearn")
    from lrctl_workloads.images.classifier import ImageClassifier, ImagesParams

    workload = ImageClassifier(ImagesParams(batch_size=100), 0)
    assert workload.steps_per_epoch() == len(workload.images.parts["training"]) / 100
