"""What the export of a run carries of what it was found with."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import searches
from export.exports import Net, exported, found_on
from export.test_formula import imported
from installed_optimizers import INSTALLED
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.export.found_with import clipping, found_with, registered
from lrctl.storage.runs import finished
from lrctl.storage.store import Store
from signed import read_signed, write_signed

SETTINGS = {
    "optimizer__name": "adamw",
    "optimizer__betas": [0.8, 0.95],
    "optimizer__weight_decay": 0.25,
    "optimizer__clip_norm": 0.5,
}


def test_an_export_of_a_run_makes_the_optimizer_that_it_was_found_with(tmp_path: Path) -> None:
    text = exported(tmp_path, found_on(tmp_path, **SETTINGS), "torch")
    module, model = imported(text), Net()
    made = module["optimizer"](model)
    assert type(made) is torch.optim.AdamW
    assert (made.defaults["betas"], made.defaults["weight_decay"]) == ((0.8, 0.95), 0.25)
    groups = module["optimizer"](model, [{"params": model.layer.weight}, {"params": model.layer.bias, "lr_scale": 2}])
    module["make_scheduler"](groups)
    first, second = (group["lr"] for group in groups.param_groups)
    assert second == 2 * first
    head = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]
    for line in ("optimizer.weight_decay = 0.25", "workload.batch_size = 6", "training.micro_batches = 2"):
        assert f"    {line}" in head
    assert any(line.startswith("Found by lrctl semilocal, seed 0: train loss 0.") for line in head)
    assert "torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)" in text
    assert module["FOUND_WITH"]["optimizer"]["name"] == "adamw"
    assert json.loads(exported(tmp_path, found_on(tmp_path, **SETTINGS), "json"))["found_with"] == json.loads(
        json.dumps(module["FOUND_WITH"])
    )


@pytest.mark.parametrize("name", INSTALLED)
def test_every_optimizer_of_lrctl_is_made_as_the_engine_makes_it(name: str, tmp_path: Path) -> None:
    text = exported(tmp_path, found_on(tmp_path, optimizer__name=name, strategy__semilocal__segments=1), "torch")
    model = torch.nn.Linear(4, 1, bias=False)  # as the workload's
    made = imported(text)["optimizer"](model)
    from lrctl.optimizers.building import build_optimizer

    expected = build_optimizer(object(), model, OPTIMIZERS[name]())  # type: ignore[arg-type]
    told = {key: value for key, value in expected.defaults.items() if key != "fused"}
    assert type(made).__name__ == type(expected).__name__
    assert {key: made.defaults[key] for key in told} == told
    assert ("# optimizer.eval() before the model is evaluated or saved" in text) is OPTIMIZERS[name].averages


def test_the_arguments_of_the_trainer_match_the_run(tmp_path: Path) -> None:
    text = exported(tmp_path, found_on(tmp_path, **SETTINGS, training__seed=3), "transformers")
    arguments = imported(text)["training_arguments"](str(tmp_path / "out"), use_cpu=True, report_to=[], seed=4)
    told = {"max_steps": 24, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2, "adam_beta1": 0.8}
    told |= {"adam_beta2": 0.95, "weight_decay": 0.25, "max_grad_norm": 0.5, "seed": 4}
    assert {name: getattr(arguments, name) for name in told} == told
    assert "optimizers=(optimizer, make_scheduler(optimizer))" in text


OWN = """
import torch
import lrctl
from torch.utils.data import Subset, TensorDataset
x = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
data = TensorDataset(x, x.sum(1, keepdim=True))
workload = lrctl.workload(
    model=lambda: torch.nn.Linear(4, 1), train=Subset(data, range(32)), held_out=Subset(data, range(32, 48)),
    loss=torch.nn.MSELoss(), clip_norm=1.0,
)
"""
CLASS = f"""{OWN}
class Own:
    def __init__(self, seed): self.inner = workload(seed=seed)
    def model(self): return self.inner.model()
    def batch(self, step): return self.inner.batch(step)
    def loss(self, model, batch): return self.inner.loss(model, batch)
    def evaluate(self, model, split): return self.inner.evaluate(model, split)
"""
CLIPPED: dict[str, tuple[str, dict[str, Any], float | None, bool]] = {
    "a registered workload": ("", {}, 0.0, False),
    "by its code, which nothing tells": ("Own", {}, None, True),
    "by a part of it": ("workload", {}, 1.0, False),
    "by a setting of the workload": ("workload", {"workload__clip_norm": 0.5}, 0.5, False),
    "by the optimizer's setting": ("", {"optimizer__clip_norm": 0.25}, 0.25, False),
    "by that and perhaps by code": ("Own", {"optimizer__clip_norm": 0.25}, 0.25, True),
    "by both settings": ("workload", {"optimizer__clip_norm": 0.25, "workload__clip_norm": 0.5}, 0.25, False),
}


@pytest.mark.parametrize(("code", "settings", "norm", "told"), CLIPPED.values(), ids=CLIPPED)
def test_exports_clip_as_the_run_did_as_far_as_that_is_known(
    code: str, settings: dict[str, Any], norm: float | None, told: bool, tmp_path: Path
) -> None:
    if code:
        (tmp_path / "own.py").write_text(CLASS)
        settings = {"workload__name": f"{tmp_path}/own.py:{code}", "training__unchecked": True, **settings}
    short = {"training__steps": 4, "strategy__semilocal__segments": 1, "strategy__semilocal__grid": (0.01, 0.02)}
    store = tmp_path / "store"
    run = searches.search(store, searches.smoke(optimizer__name="adamw", **short, **settings))["run"]
    texts = {to: exported(store, run, to) for to in ("torch", "transformers", "lightning")}
    arguments = (
        texts["transformers"].partition("TrainingArguments(output_dir=output_dir, **{**")[2].partition(", **")[0]
    )
    assert ast.literal_eval(arguments).get("max_grad_norm") == norm
    assert ("clip_grad_norm_" in texts["torch"], "gradient_clip_val" in texts["lightning"]) == (bool(norm),) * 2
    assert not norm or f"(model.parameters(), {norm})" in texts["torch"]
    assert not norm or f"gradient_clip_val={norm})" in texts["lightning"]
    assert all(("#     clipping = that of the workload's code, if it clips" in text) is told for text in texts.values())


@pytest.mark.parametrize(("name", "known"), [("gpt", True), ("summarization", True), ("program", False)])
def test_the_class_of_a_workload_tells_of_groups_and_clipping_where_it_is_known(name: str, known: bool) -> None:
    recipe: Any = SimpleNamespace(workload=SimpleNamespace(name=name))
    found = registered(recipe)
    assert hasattr(found, "param_groups") is known
    assert clipping({}, None, found) == (0.0, not known)


def test_an_export_of_ones_own_parts_carries_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    own = {"workload__name": f"{tmp_path}/own.py:workload", "workload__batch_size": 8, "training__unchecked": True}
    short = {"training__steps": 4, "strategy__semilocal__segments": 1, "strategy__semilocal__grid": (0.01, 0.02)}
    run = searches.search(tmp_path / "store", searches.smoke(**own, **short))["run"]
    module = imported(exported(tmp_path / "store", run, "torch"))
    told = module["FOUND_WITH"]["workload"]
    assert told == {"batch_size": 8, "shuffle": True, "clip_norm": 1.0, "name": "own.py:workload"}
    assert isinstance(module["optimizer"](torch.nn.Linear(4, 1)), torch.optim.AdamW), "which it was trained with"
    path = tmp_path / "store" / "runs" / run / "environment.json"
    known = read_signed(path)
    assert known is not None
    write_signed(path, {**known, "workload": 3})  # as no search writes it
    assert imported(exported(tmp_path / "store", run, "torch"))["FOUND_WITH"]["workload"]["batch_size"] == 8


def test_a_workload_with_its_own_optimizer_says_so(tmp_path: Path) -> None:
    run = searches.search(tmp_path, searches.smoke(workload__name="exact-linear-regression", training__steps=8))["run"]
    text = exported(tmp_path, run, "torch")
    assert "optimizer = the workload's own" in text
    assert "optimizer" not in imported(text)


@pytest.mark.parametrize("name", ["torch.optim.NAdam", "torch.optim:NAdam"])
def test_a_class_of_torchs_is_exported_by_either_name(name: str, tmp_path: Path) -> None:
    text = exported(tmp_path, found_on(tmp_path, optimizer__name=name, strategy__semilocal__segments=1), "torch")
    assert type(imported(text)["optimizer"](Net())) is torch.optim.NAdam


def test_a_run_whose_recipe_cannot_be_read_is_exported_without_it(tmp_path: Path) -> None:
    run = found_on(tmp_path)
    (tmp_path / "runs" / run / "recipe.toml").unlink()
    with pytest.warns(UserWarning, match="recipe.toml"):
        found = finished(tmp_path, run)
    assert found_with(found) is None


def exported_without_checkpoint(store: Path, run: str, to: str, *, deleted: bool = False) -> str:
    """The export of a run whose checkpoint was deleted, or that has none, as of a transfer that does not train."""
    place = Store(store)
    found = place.runs.result(run)
    assert found is not None
    assert found.checkpoint
    if not deleted:
        place.runs.finish(replace(found, checkpoint=None))
        return exported(store, run, to)
    place.checkpoint(found.checkpoint).unlink()
    with pytest.warns(UserWarning, match="missing or damaged: checkpoint"):
        return exported(store, run, to)


MUON = {"optimizer__name": "muon"}
SCALED = {"optimizer__name": "adamw", "optimizer__lr_scale": {"output": 0.5}}
BY_ROLE: dict[str, tuple[dict[str, Any], str, bool]] = {
    "muon": (MUON, "torch", False),
    "muon, deleted": (MUON, "torch", True),
    "a scale": (SCALED, "torch", False),
    "a scale, deleted": (SCALED, "torch", True),
    "the Trainer of transformers": (SCALED, "transformers", False),
    "Lightning": (MUON, "lightning", False),
}


@pytest.mark.parametrize(("settings", "to", "deleted"), BY_ROLE.values(), ids=BY_ROLE)
def test_groups_that_no_checkpoint_tells_are_asked_for(
    settings: dict[str, Any], to: str, deleted: bool, tmp_path: Path
) -> None:
    run = found_on(tmp_path, **settings, strategy__semilocal__segments=1)
    text, model = exported_without_checkpoint(tmp_path, run, to, deleted=deleted), Net()
    module = imported(text)
    assert "#     param groups = not known, since the run has no checkpoint: optimizer(model, groups) needs" in text
    assert f"make_optimizer({'self' if to == 'lightning' else 'model'}, groups)" in text
    with pytest.raises(
        ValueError, match=r"not known, since its run has no checkpoint; give optimizer\(model, groups\)"
    ):
        module["optimizer"](model)
    own = [{"params": list(model.parameters()), "lr_scale": 0.5}]
    assert module["optimizer"](model, own).param_groups[0]["lr_scale"] == 0.5


def test_without_groups_no_checkpoint_is_needed(tmp_path: Path) -> None:
    run = found_on(tmp_path, optimizer__name="adamw", strategy__semilocal__segments=1)
    text = exported_without_checkpoint(tmp_path, run, "torch")
    assert "#     param groups" not in text
    assert len(imported(text)["optimizer"](Net()).param_groups) == 1


def test_averages_of_the_weights_and_a_run_under_way_are_told(tmp_path: Path) -> None:
    run = found_on(tmp_path, training__averaging=[4, 8], strategy__semilocal__segments=1)
    store = Store(tmp_path)
    result = store.runs.result(run)
    assert result is not None
    assert result.weights
    store.runs.finish(replace(result, start=6))
    text = exported(tmp_path, run, "torch")
    head = [line.removeprefix("#     ") for line in text.splitlines() if line.startswith("#     ")]
    assert "training.averaging = [4.0, 8.0]" in head
    assert f"weights = {result.weights}: its losses are of these, and only a run that keeps them has such" in head
    assert "start = 6: the run was under way, and the schedule was searched from this step on" in head
    found = imported(text)["FOUND_WITH"]
    assert (found["weights"], found["start"], found["training"]["averaging"]) == (result.weights, 6, [4.0, 8.0])


def test_a_plain_run_tells_of_no_averages(tmp_path: Path) -> None:
    text = exported(tmp_path, found_on(tmp_path, strategy__semilocal__segments=1), "torch")
    found = imported(text)["FOUND_WITH"]
    assert not {"weights", "start"} & found.keys()
    assert "averaging" not in found["training"]
