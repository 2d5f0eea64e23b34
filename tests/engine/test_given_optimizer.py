"""The state of an optimizer that another program saved, on the one that is to go on from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.contracts.optimizers import Adam, OptimizerSettings
from lrctl.engine.given_optimizer import adopted
from lrctl.errors import UsageError
from lrctl.optimizers.muon import Muon
from lrctl.optimizers.schedule_free import ScheduleFree

Make = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adagrad": torch.optim.Adagrad,
    "adafactor": torch.optim.Adafactor,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "schedule-free": ScheduleFree,
    "muon": Muon,
}


def trained(make: Make, updates: int = 3, state: dict[str, Any] | None = None) -> torch.optim.Optimizer:
    """An optimizer after some updates of a matrix and a vector, as a checkpoint has it."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 4)
    optimizer = make(model.parameters())
    if state is not None:
        optimizer.load_state_dict(state)
    for _ in range(updates):
        model(torch.ones(2, 3)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def adopt(given: Any, make: Make, settings: OptimizerSettings | None = None) -> dict[str, Any]:
    return adopted(given, trained(make, 0), settings, Path("run.pt"))


def in_evaluation(make: Make) -> dict[str, Any]:
    optimizer = trained(make)
    if isinstance(optimizer, ScheduleFree):
        optimizer.eval()
    return optimizer.state_dict()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_goes_on_from_its_own_state_as_it_is(name: str) -> None:
    state = in_evaluation(OPTIMIZERS[name])
    assert str(adopt(state, OPTIMIZERS[name])) == str(state)


@pytest.mark.parametrize("given", OPTIMIZERS)
def test_the_state_of_another_optimizer_is_refused(given: str) -> None:
    state = trained(OPTIMIZERS[given]).state_dict()
    for name in OPTIMIZERS.keys() - {given}:
        with pytest.raises(UsageError, match=r"run\.pt: the optimizer's state .*; (choose|give|it may)"):
            adopt(state, OPTIMIZERS[name])


def without(key: str, **more: Any) -> dict[str, Any]:
    state = trained(torch.optim.AdamW).state_dict()
    groups = [{name: value for name, value in group.items() if name != key} | more for group in state["param_groups"]]
    return {**state, "param_groups": groups}


def test_what_earlier_versions_of_torch_left_out_is_added() -> None:
    (group,) = adopt(without("decoupled_weight_decay"), torch.optim.AdamW)["param_groups"]
    assert group["decoupled_weight_decay"] is True


def test_lrs_names_and_kernels_may_be_any() -> None:
    given = without("", lr=3.0, initial_lr=4.0, max_lr=5.0, name="all", lr_scale=2.0, fused=True, foreach=False)
    (group,) = adopt(given, torch.optim.AdamW)["param_groups"]
    assert (group["fused"], group["foreach"]) == (None, None)


SENTENCES: dict[str, tuple[dict[str, Any], Make, OptimizerSettings | None, str]] = {
    "the same fields and another meaning": (
        without("", weight_decay=0.1),
        lambda params: torch.optim.Adam(params, weight_decay=0.1),
        Adam(weight_decay=0.1),
        "was made with decoupled_weight_decay True, and Adam has False here; choose the optimizer that it is of",
    ),
    "a setting of no recipe": (
        without("", amsgrad=True),
        torch.optim.AdamW,
        None,
        "was made with amsgrad True, and AdamW has False here; choose",
    ),
    "a setting of a recipe": (
        trained(lambda params: torch.optim.Adam(params, betas=(0.8, 0.9))).state_dict(),
        torch.optim.Adam,
        Adam(),
        r"betas \[0.8, 0.9\], and the recipe says \[0.9, 0.999\]; give --set optimizer.betas=\[0.8,0.9\], or leave",
    ),
    "a key too few": (without("betas"), torch.optim.AdamW, None, "has no 'betas' in its param groups, and that of"),
    "a key too many": (
        without("", centered=True),
        torch.optim.AdamW,
        None,
        "has 'centered' in its param groups, and that of AdamW has not",
    ),
    "a moment too few": (
        {**without(""), "state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4, 3)}}},
        torch.optim.AdamW,
        None,
        "has no 'exp_avg_sq' of a parameter, and that of AdamW has",
    ),
}
NO_STATES: dict[str, Any] = {
    "other keys": {"mu": {}},
    "a tensor": torch.ones(3),
    "a tensor of groups": {"param_groups": torch.ones(3), "state": {}},
    "a group that is a tensor": {"param_groups": [torch.ones(3)], "state": {}},
    "a group with a tensor of params": {"param_groups": [{"params": torch.ones(2)}], "state": {}},
    "a tensor of state": {**without(""), "state": torch.ones(3)},
    "a state that is a tensor": {**without(""), "state": {0: torch.ones(3)}},
    "names that are numbers": {
        **without(""),
        "param_groups": [{**group, 1: 2} for group in without("")["param_groups"]],
    },
}


@pytest.mark.parametrize("case", SENTENCES)
def test_what_does_not_fit_is_one_sentence(case: str) -> None:
    given, make, settings, said = SENTENCES[case]
    with pytest.raises(UsageError, match=said):
        adopt(given, make, settings)


@pytest.mark.parametrize("given", NO_STATES.values(), ids=NO_STATES)
def test_what_is_no_state_of_torchs_is_one_sentence(given: Any) -> None:
    with pytest.raises(UsageError, match="is not what state_dict\\(\\) of an optimizer of torch's gives"):
        adopt(given, torch.optim.AdamW)


@pytest.mark.parametrize("name", ["prodigy", "ademamix", "soap"])
def test_so_do_those_of_other_packages(name: str) -> None:
    module, kind = {
        "prodigy": ("prodigyopt", "Prodigy"),
        "ademamix": ("pytorch_optimizer", "AdEMAMix"),
        "soap": ("pytorch_optimizer", "SOAP"),
    }[name]
    make = getattr(pytest.importorskip(module), kind)
    state = trained(make).state_dict()
    assert str(adopt(state, make)) == str(state)


def test_gradients_that_it_cannot_take_are_no_error() -> None:
    state = trained(torch.optim.SparseAdam, 0).state_dict()
    assert adopt(state, torch.optim.SparseAdam)["param_groups"] == state["param_groups"]
