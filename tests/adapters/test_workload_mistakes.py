"""`lrctl.workload`: what is refused at once, and an evaluation that is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from adapters.parts import PLAIN, Numbers, made, net, sgd, square, trained
from lrctl.checks import evaluation
from lrctl.checks.check import tried
from lrctl.checks.rules import Subject
from lrctl.errors import UsageError


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        return iter(torch.ones(100, 2))


def loader() -> DataLoader[Any]:
    return DataLoader(Numbers(8), batch_size=2)  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a loader": (lambda: {"train": loader()}, "train: a DataLoader does not tell where it is, .* train=loader.dataset"),
    "an iterable without a state": (
        lambda: {"train": Endless()},
        "train: a Endless has neither __len__ and __getitem__",
    ),
    "an iterator": (lambda: {"train": iter([1])}, "train: a list_iterator has neither"),
    "no data": (lambda: {"train": []}, "train: it has no items"),
    "one loader to cut in two": (lambda: {"held_out": loader()}, "held_out: must be a data set .* of a loader give"),
    "one item to cut in two": (lambda: {"held_out": [1]}, "held_out: it has 1 items, too few"),
    "a list of two data sets": (
        lambda: {"held_out": [Numbers(6), loader()]},
        r"held_out: a list of two may be .*; give a tuple \(validation, test\)",
    ),
    "a list of two items": (lambda: {"held_out": [1, 2]}, r"held_out: a list of two .* items \(\[one\], \[other\]\)"),
    "an optimizer": (lambda: {"optimizer": sgd(net())}, "optimizer: must be a function, got a SGD; give one: lambda"),
    "no function": (lambda: {"evaluate": 3}, "evaluate: must be a function, got a int"),
    "no model": (lambda: {"model": None}, "model: must be a function, got a NoneType"),
    "no batch": (lambda: {"batch_size": 0}, "batch_size: must be a whole number of at least 1, got 0"),
    "half a worker": (lambda: {"num_workers": 0.5}, "num_workers: must be a whole number of at least 0, got 0.5"),
    "a negative norm": (lambda: {"clip_norm": -1}, "clip_norm: must be a number of at least 0, got -1"),
    "a loss of other arguments": (
        lambda: {"loss": lambda _m, _x, _y: None},
        r"loss: it is called as loss\(model, batch\), and takes \(_m, _x, _y\)",
    ),
    "an evaluation without batches": (
        lambda: {"evaluate": lambda _model: 0.0},
        r"evaluate: it is called as evaluate\(model, batches\)",
    ),
    "training data held out": (
        lambda: dict.fromkeys(("train", "held_out"), Numbers(9)),
        "held_out: it is train itself",
    ),
    "training data validated on": (
        lambda: {"train": (same := Numbers(9)), "held_out": (same, Numbers(9))},
        "held_out: it is train itself",
    ),
    "a misspelt part": (lambda: {"batchsize": 4}, "batchsize: unknown argument; did you mean 'batch_size'"),
    "all aside": (lambda: {"aside": 100}, "aside: 100 of the 100 items of train leave none to train on"),
}


@pytest.mark.parametrize(("parts", "said"), REFUSED.values(), ids=REFUSED)
def test_a_part_that_cannot_be_used_is_told_at_once(parts: Callable[[], dict[str, Any]], said: str) -> None:
    with pytest.raises(UsageError, match=f"lrctl.workload: {said}"):
        made(**parts())


def test_a_criterion_wants_pairs() -> None:
    with pytest.raises(
        UsageError, match=r"loss: a criterion of torch's is for batches \(x, y\), and this one holds a Tensor"
    ):
        trained(made(loss=nn.MSELoss()))


def accuracy(model: Any, batches: Any) -> float:
    return float(torch.cat([model(batch).mean(1) for batch in batches]).mean()) + 100


def test_an_accuracy_that_is_taken_for_the_loss_is_told_of() -> None:
    subject = Subject(made(evaluate=accuracy), PLAIN)
    with pytest.warns(UserWarning, match="is taken for the loss; the mean of loss.* is .*; of an accuracy"):
        (found,) = tried(subject, [evaluation.A_LOSS])
    assert found.status == "could not be told"


def test_a_number_that_is_the_loss_is_not_told_of() -> None:
    def mean(model: Any, batches: Any) -> float:
        return float(torch.stack([square(model, batch) for batch in batches]).mean())

    (found,) = tried(Subject(made(evaluate=mean), PLAIN), [evaluation.A_LOSS])
    assert found.status == "holds"
