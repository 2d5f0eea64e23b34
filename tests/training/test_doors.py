"""What a loss and an evaluation may return: what is plain is taken, and nothing is guessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrctl.errors import UsageError
from lrctl.training.doors import checked_loss, checked_metrics

LOSS = torch.tensor(2.0)
LOGITS = torch.zeros(3, 4)


@pytest.mark.parametrize(
    "outcome",
    [
        LOSS,
        LOSS.reshape(1),
        LOSS.reshape(1, 1),
        (LOGITS, LOSS),
        (LOSS, LOGITS),
        [LOSS, None, {"accuracy": 0.5}],
        {"loss": LOSS, "logits": LOGITS},
        SimpleNamespace(loss=LOSS, logits=LOGITS),
    ],
    ids=["scalar", "one row", "one element", "logits first", "loss first", "list", "dict", "object"],
)
def test_a_loss_is_taken_where_its_meaning_is_plain(outcome: Any) -> None:
    found = checked_loss(outcome, "Mine")
    assert found.shape == ()
    assert float(found) == 2.0


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (2.0, "a float"),
        (None, "None"),
        (LOGITS, r"a tensor of shape \(3, 4\); return its mean"),
        ((LOSS, LOSS), r"a tuple of 2: tensor of shape \(\), tensor of shape \(\)"),
        ((LOGITS[:1, :1], LOGITS), r"a tuple of 2: tensor of shape \(1, 1\), tensor of shape \(3, 4\)"),
        ({"nll": LOSS}, r"a dict with 'nll': tensor of shape \(\)"),
        (SimpleNamespace(loss=2.0), "a SimpleNamespace"),
    ],
    ids=["number", "nothing", "rows", "two", "logits of one", "another name", "object"],
)
def test_a_loss_that_could_be_anything_is_told_with_its_shapes(outcome: Any, found: str) -> None:
    with pytest.raises(UsageError, match=rf"Mine\.loss: must return a scalar tensor, .* got {found}"):
        checked_loss(outcome, "Mine")


@pytest.mark.parametrize(
    ("outcome", "metrics"),
    [
        ({"loss": LOSS, "accuracy": torch.tensor([0.5])}, {"loss": 2.0, "accuracy": 0.5}),
        (2, {"loss": 2.0}),
        (LOSS, {"loss": 2.0}),
        ((LOSS, {"accuracy": 0.5}), {"loss": 2.0, "accuracy": 0.5}),
        (SimpleNamespace(loss=LOSS), {"loss": 2.0}),
        (float("nan"), {"loss": float("inf")}),
    ],
    ids=["tensors", "number", "tensor", "loss and more", "object", "not finite"],
)
def test_metrics_are_taken_where_their_meaning_is_plain(outcome: Any, metrics: dict[str, float]) -> None:
    assert checked_metrics(outcome, "Mine") == metrics


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ({"val_loss": 2.0}, "a dict with 'val_loss': float"),
        ((2.0, 0.5), "a tuple of 2: float, float"),
        (LOGITS, r"a tensor of shape \(3, 4\)"),
        (True, "a bool"),
        (None, "None"),
    ],
    ids=["another name", "two numbers", "rows", "bool", "nothing"],
)
def test_metrics_that_could_be_anything_are_told_with_their_names(outcome: Any, found: str) -> None:
    with pytest.raises(UsageError, match=rf"Mine\.evaluate: must return metrics by name, .* got {found}; return"):
        checked_metrics(outcome, "Mine")
