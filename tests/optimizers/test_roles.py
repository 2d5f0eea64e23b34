"""Roles of parameters: how they are told, what they scale, and what an export holds of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

import searches
from command_line import Lrctl
from export.test_formula import imported
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import SGD, AdamW, ByName, Muon, OptimizerSettings, Prodigy
from lrctl.errors import UsageError
from lrctl.export.given import exported
from lrctl.optimizers.building import build_optimizer
from lrctl.optimizers.param_groups import scales
from lrctl.optimizers.roles import roles
from lrctl.storage.store import Store
from lrctl.testing import Constant
from lrctl.training.trainer import train


class Text(nn.Module):
    """Tokens, own positions, a hidden layer, a norm, and an output: tied, of its own, or a layer."""

    def __init__(self, output: str) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(6, 4))
        if output == "own":
            self.lm_head = nn.Parameter(torch.ones(9, 4))
        self.tokens = nn.Embedding(9, 4)
        self.hidden = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        if output in ("layer", "tied"):
            self.last = nn.Linear(4, 9, bias=False)
        if output == "tied":
            self.last.weight = self.tokens.weight


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))


class Experts(nn.Module):
    """A matrix for each of several experts, beside an activation, as transformers has them."""

    def __init__(self, count: int = 2) -> None:
        super().__init__()
        self.up, self.act = nn.Parameter(torch.ones(count, 4, 6)), nn.Tanh()
        self.bias = nn.Parameter(torch.ones(count, 6))


class Parts(nn.Module):
    """Parts by name, in this order, and parameters of its own."""

    def __init__(self, parts: dict[str, nn.Module], **own: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in own.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))
        for name, part in parts.items():
            self.add_module(name, part)


def line(width: int, to: int) -> nn.Module:
    return nn.Linear(width, to, bias=False)


def shared() -> nn.Module:
    """An embedding that two parts have, and an output of its own, as T5 untied."""
    words = nn.Embedding(9, 4)
    encoder = Parts({"embed_tokens": words, "layer": line(4, 4)})
    return Parts({"shared": words, "encoder": encoder, "last": line(4, 9)})


def block() -> nn.Module:
    return Parts({"attention": line(4, 4), "output": line(4, 4)})


REST = {"positions": "vector", "hidden.weight": "matrix", "hidden.bias": "vector"}
NORM = {"norm.weight": "vector", "norm.bias": "vector"}
MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "a layer": (lambda: Text("layer"), {**REST, "tokens.weight": "embedding", **NORM, "last.weight": "output"}),
    "tied": (lambda: Text("tied"), {**REST, "tokens.weight": "output", **NORM}),
    "its own": (lambda: Text("own"), {**REST, "lm_head": "output", "tokens.weight": "embedding", **NORM}),
    "convolutions": (
        convolutions,
        {"0.weight": "matrix", "0.bias": "vector", "1.weight": "vector", "1.bias": "vector"}
        | {"3.weight": "output", "3.bias": "vector"},
    ),
    "attention": (
        lambda: nn.Sequential(nn.MultiheadAttention(4, 2, bias=False), nn.Linear(4, 2)),
        {"0.in_proj_weight": "matrix", "0.out_proj.weight": "matrix", "1.weight": "output", "1.bias": "vector"},
    ),
    "one layer": (lambda: nn.Linear(3, 2), {"weight": "output", "bias": "vector"}),
    "a layer of one row, a table as wide as a vector": (
        lambda: nn.Sequential(nn.Linear(3, 3, bias=False), nn.Conv1d(1, 4, 1, bias=False), nn.Linear(3, 1, bias=False)),
        {"0.weight": "matrix", "1.weight": "vector", "2.weight": "output"},
    ),
    "experts": (
        lambda: nn.Sequential(Experts(), line(6, 2)),
        {"0.up": "matrix", "0.bias": "vector", "1.weight": "output"},
    ),
    "weights that are normed": (
        lambda: nn.Sequential(weight_norm(line(4, 8)), weight_norm(nn.Conv1d(8, 8, 3, bias=False)), line(8, 2)),
        {f"{i}.parametrizations.weight.original{j}": ("vector", "matrix")[j] for i in (0, 1) for j in (0, 1)}
        | {"2.weight": "output"},
    ),
    "a projection of its own, and positions of two kinds": (
        lambda: Parts({"table": Parts({}, pos_embed=(6, 4)), "last": line(4, 2)}, wide=(3, 4), at=(1, 6, 4)),
        {"wide": "matrix", "at": "vector", "table.pos_embed": "vector", "last.weight": "output"},
    ),
    "a module that is registered twice": (
        shared,
        {"shared.weight": "embedding", "encoder.layer.weight": "matrix", "last.weight": "output"},
    ),
    "the head first": (
        lambda: Parts({"head": line(4, 2), "body": line(3, 4)}),
        {"head.weight": "output", "body.weight": "matrix"},
    ),
    "the head first, of several layers, in a wrapper": (
        lambda: Parts({"net": Parts({"lm_head": nn.Sequential(line(4, 4), line(4, 2)), "body": line(3, 4)})}),
        {"net.lm_head.0.weight": "matrix", "net.lm_head.1.weight": "output", "net.body.weight": "matrix"},
    ),
    "what is called output in a block": (
        lambda: Parts({"body": block(), "last": line(4, 2)}),
        {"body.attention.weight": "matrix", "body.output.weight": "matrix", "last.weight": "output"},
    ),
    "no matrix": (lambda: nn.LayerNorm(3), {"weight": "vector", "bias": "vector"}),
}


@pytest.mark.parametrize(("model", "expected"), MODELS.values(), ids=MODELS)
def test_roles_are_told_by_module(model: Callable[[], nn.Module], expected: dict[str, str]) -> None:
    assert roles(model()) == expected


class Plain:
    """Words in, words out."""

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 5))

    def batch(self, step: int) -> Tensor:  # noqa: ARG002
        return torch.randint(5, (8,))

    def loss(self, model: Any, batch: Tensor) -> Any:
        return nn.functional.cross_entropy(model(batch), batch)

    def evaluate(self, model: Any, split: str) -> dict[str, float]:
        torch.manual_seed(len(split))
        return {"loss": float(self.loss(model, self.batch(0)))}


class Grouped(Plain):
    """Groups of its own: one with a name, one with its own LR scale and no weight decay."""

    def param_groups(self, model: Any) -> list[dict[str, Any]]:
        rest = {"params": [*model[0].parameters(), *model[3].parameters()], "lr_scale": 3.0, "weight_decay": 0.0}
        return [{"params": model[1].parameters(), "name": "body"}, rest]


def seen(workload: Any, settings: OptimizerSettings) -> dict[str, tuple[float, float]]:
    """The LR scale and weight decay of each parameter."""
    model = workload.model()
    optimizer = build_optimizer(workload, model, settings)
    names = {id(p): name for name, p in model.named_parameters()}
    found = zip(optimizer.param_groups, scales(optimizer), strict=True)
    return {names[id(p)]: (factor, group["weight_decay"]) for group, factor in found for p in group["params"]}


def test_roles_scale_lrs_and_weight_decay() -> None:
    settings = AdamW(
        weight_decay=0.5, lr_scale={"embedding": 8, "output": 2}, decay_scale={"embedding": 0, "vector": 2}
    )
    vector = (1.0, 1.0)
    assert seen(Plain(), settings) == {
        "0.weight": (8.0, 0.0),
        "1.weight": (1.0, 0.5),
        "1.bias": vector,
        "3.weight": (2.0, 0.5),
        "3.bias": vector,
    }


def test_groups_of_the_workloads_keep_what_they_have_and_their_names_are_roles() -> None:
    settings = AdamW(weight_decay=0.5, lr_scale={"body": 4, "output": 2}, decay_scale={"body": 0.5, "output": 2})
    assert seen(Grouped(), settings) == {
        "1.weight": (4.0, 0.25),
        "1.bias": (4.0, 0.25),
        "0.weight": (3.0, 0.0),
        "3.weight": (6.0, 0.0),
        "3.bias": (3.0, 0.0),
    }


def test_muon_takes_hidden_matrices_of_groups_with_names_too_and_gives_the_rest_its_own_lr() -> None:
    found = build_optimizer(Grouped(), Grouped().model(), Muon(rest_lr=5.0)).param_groups
    assert [(group["name"], group["muon"], group.get("lr_scale")) for group in found] == [
        ("body", True, None),
        ("body", False, 5.0),
        ("embedding", False, 15.0),
        ("output", False, 15.0),
        ("vector", False, 15.0),
    ]


REFUSED: dict[str, tuple[OptimizerSettings, str]] = {
    "a role that nothing has": (
        SGD(lr_scale={"hidden": 2.0}),
        "optimizer.lr_scale.hidden: unknown role of this model; choose from: embedding, matrix, output, vector",
    ),
    "no weight decay": (
        ByName(name="torch.optim.Rprop", decay_scale={"matrix": 0.0}),
        "optimizer.decay_scale.matrix: optimizer torch.optim.Rprop has no weight_decay; leave it out",
    ),
    "one LR for all": (Prodigy(lr_scale={"matrix": 2.0}), r"optimizer prodigy: it has one LR for all param groups"),
}


@pytest.mark.parametrize(("settings", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_scaled_is_refused(settings: OptimizerSettings, said: str) -> None:
    if isinstance(settings, Prodigy):
        pytest.importorskip("prodigyopt")
    with pytest.raises(UsageError, match=said):
        build_optimizer(Plain(), Plain().model(), settings)


def test_scales_of_1_change_no_number() -> None:
    spec, job = TrainSpec("x.py:Plain", {}, "", 0, AdamW()), SegmentJob(0, 8, Constant(0.01))
    ones: Any = dict.fromkeys(("embedding", "output", "matrix", "vector"), 1.0)
    scaled = replace(spec, optimizer=AdamW(lr_scale=ones, decay_scale=ones))
    assert train(Plain(), spec, job).losses.tobytes() == train(Plain(), scaled, job).losses.tobytes()


def test_a_recipe_says_them_and_only_then_they_are_part_of_a_jobs_key(lrctl: Lrctl) -> None:
    spec, job = TrainSpec("x.py:Plain", {}, "", 0, AdamW()), SegmentJob(0, 8, Constant(0.01))
    assert job.key(replace(spec, optimizer=AdamW(lr_scale={}))) == job.key(spec)
    assert job.key(replace(spec, optimizer=AdamW(lr_scale={"output": 1.0}))) != job.key(spec)
    done = lrctl("list", "--roles", "--recipe", "smoke", "--set", "optimizer.lr_scale.output=8", "--json")
    assert json.loads(done.out)["parameters"][0] == {
        "role": "output",
        "parameter": "weight",
        "shape": "1 x 16",
        "lr_scale": 8.0,
        "weight_decay": 0.1,
    }
    assert "must be a table of numbers, got 'negative'" in str(
        lrctl("list", "--roles", "--set", "optimizer.lr_scale=negative").err
    )
    assert lrctl("list", "--recipe", "smoke").code == 2


OWN = """
import torch
from torch import nn

class Words:
    def __init__(self, seed): ...
    def model(self): return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 5))
    def batch(self, step): return torch.randint(5, (8,))
    def loss(self, model, batch): return nn.functional.cross_entropy(model(batch), batch)
    def evaluate(self, model, split): return {"loss": float(self.loss(model, torch.arange(5)))}
"""


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize("to", ["torch", "transformers", "lightning"])
def test_exports_build_the_same_groups(name: str, to: str, tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(OWN)
    given = {"workload__name": f"{tmp_path}/words.py:Words", "optimizer__name": name, "training__unchecked": True}
    given |= {"optimizer__lr_scale": {"embedding": 8.0}, "optimizer__decay_scale": {"embedding": 0.0}}
    recipe = searches.smoke(
        **given, training__steps=6, strategy__semilocal__segments=1, strategy__semilocal__grid=(0.01, 0.02)
    )
    run = searches.search(tmp_path / "store", recipe)["run"]
    module, model = imported(exported(tmp_path / "store", run, to).text), Plain().model()
    made, expected = module["optimizer"](model), build_optimizer(Plain(), model, recipe.optimizer.settings)
    assert [group["params"] for group in made.param_groups] == [group["params"] for group in expected.param_groups]
    for ours, theirs in zip(made.param_groups, expected.param_groups, strict=True):
        assert {key: ours.get(key) for key in ("lr_scale", "weight_decay", "muon", "betas")} == {
            key: theirs.get(key) for key in ("lr_scale", "weight_decay", "muon", "betas")
        }
    for other in (
        nn.Sequential(nn.Embedding(5, 4)),
        nn.Sequential(nn.Embedding(6, 4), *list(model.children())[1:]),
        nn.Linear(2, 2),
    ):
        with pytest.raises(ValueError, match=r"parameter \S+: its shape is .* in this model, and was"):
            module["param_groups"](other)


def test_exports_build_the_groups_of_a_class_of_ones_own_and_say_where_they_cannot_be_known(tmp_path: Path) -> None:
    groups = "    def param_groups(self, model): return [{'params': p, 'lr_scale': 0.5} for p in model.parameters()]\n"
    (tmp_path / "words.py").write_text(OWN + groups)
    given = {"workload__name": f"{tmp_path}/words.py:Words", "optimizer__name": "adamw", "training__unchecked": True}
    run = searches.search(
        tmp_path / "store",
        searches.smoke(
            **given, training__steps=6, strategy__semilocal__segments=1, strategy__semilocal__grid=(0.01, 0.02)
        ),
    )["run"]
    made = imported(exported(tmp_path / "store", run, "torch").text)["optimizer"](Plain().model())
    assert {group["lr_scale"] for group in made.param_groups} == {0.5}
    store = Store(tmp_path / "store")
    result = store.runs.result(run)
    assert result is not None
    store.runs.finish(replace(result, checkpoint=None))
    told = "param groups = those of the workload's param_groups(model), if it has that"
    assert told in exported(tmp_path / "store", run, "torch").text
