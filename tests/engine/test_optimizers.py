"""Every optimizer by name is torch's with the settings it is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lrctl.contracts.optimizers import OPTIMIZERS, SGD
from lrctl.engine.optimizers import build
from lrctl.recipe.workloads import load_workload

LINEAR = load_workload("linear-regression", {}, 0)

KINDS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adafactor": torch.optim.Adafactor,
}
OURS = {"adamw": {"weight_decay": 0.1}}
"""Where a default is not torch's."""


def test_there_is_a_test_for_each() -> None:
    assert set(KINDS) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", KINDS)
def test_the_defaults_are_torchs(name: str) -> None:
    built = build(LINEAR, LINEAR.model(), OPTIMIZERS[name]())
    theirs = KINDS[name](LINEAR.model().parameters())
    assert type(built) is type(theirs)
    expected = theirs.defaults | OURS.get(name, {})
    differing = {key for key, value in built.defaults.items() if value != expected[key]} - {"fused"}
    assert differing == set()


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("adamw", "betas", (0.8, 0.95)),
        ("adam", "eps", 1e-6),
        ("adam", "weight_decay", 0.2),
        ("sgd", "momentum", 0.9),
        ("adagrad", "lr_decay", 0.1),
        ("adagrad", "initial_accumulator_value", 0.1),
        ("adafactor", "beta2_decay", -0.5),
        ("adafactor", "d", 2.0),
    ],
)
def test_a_setting_reaches_the_optimizer(name: str, setting: str, value: Any) -> None:
    assert build(LINEAR, LINEAR.model(), OPTIMIZERS[name](**{setting: value})).defaults[setting] == value


def test_nesterov_momentum_reaches_sgd() -> None:
    built = build(LINEAR, LINEAR.model(), SGD(momentum=0.9, nesterov=True))
    assert built.defaults["nesterov"] is True
