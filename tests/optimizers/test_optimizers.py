"""Every optimizer by name is of the class that it names, with the settings it is given."""

from __future__ import annotations

from typing import Any

import pytest

from installed_optimizers import INSTALLED
from lrctl.contracts.optimizers import OPTIMIZERS, SGD
from lrctl.optimizers.building import build_optimizer
from lrctl.recipe.optimizers import load_optimizer
from lrctl.recipe.workloads import load_workload

LINEAR = load_workload("linear-regression", {}, 0)

OURS: dict[str, dict[str, Any]] = {"adamw": {"weight_decay": 0.1}, "ademamix": {"weight_decouple": True}}
"""Where a default is not that of the class."""


@pytest.mark.parametrize("name", INSTALLED)
def test_the_defaults_are_those_of_the_class(name: str) -> None:
    settings = OPTIMIZERS[name]()
    built = build_optimizer(LINEAR, LINEAR.model(), settings)
    theirs = load_optimizer(settings)(LINEAR.model().parameters())
    assert type(built) is type(theirs)
    expected: Any = theirs.defaults | OURS.get(name, {})
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
        ("muon", "momentum", 0.8),
        ("muon", "betas", (0.8, 0.95)),
        ("schedule-free", "weight_decay", 0.1),
    ],
)
def test_a_setting_reaches_the_optimizer(name: str, setting: str, value: Any) -> None:
    assert build_optimizer(LINEAR, LINEAR.model(), OPTIMIZERS[name](**{setting: value})).defaults[setting] == value


def test_nesterov_momentum_reaches_sgd() -> None:
    built = build_optimizer(LINEAR, LINEAR.model(), SGD(momentum=0.9, nesterov=True))
    assert built.defaults["nesterov"] is True
