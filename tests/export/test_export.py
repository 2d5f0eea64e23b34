"""Every export runs in its own framework, without lrctl, with the schedule's own LRs at every step."""

from __future__ import annotations

import ast
import csv
import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import searches
from cases import case
from command_line import Lrctl
from export.test_formula import EXAMPLES, imported, lrs_of, of_every_family, steps_of
from installed_optimizers import INSTALLED
from lrctl.cli.export import MODULES
from lrctl.contracts.optimizers import OPTIMIZERS
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import ScheduleRecord
from lrctl.errors import UsageError
from lrctl.export.export import TARGETS, export
from lrctl.export.found_with import clipping, found_with, registered
from lrctl.registry.registry import registry
from lrctl.storage.files import read_signed, write_signed
from lrctl.storage.runs import finished
from lrctl.storage.store import Store

HILL = PiecewiseLinear(((0, 0.0), (4, 0.3), (9, 0.0), (12, 0.1)))


def text_of(schedule: Any, to: str, steps: int | None = None) -> str:
    return export(schedule, steps or steps_of(schedule), to, source="run r")


@of_every_family
@pytest.mark.parametrize("to", ["lightning", "optax"])
def test_code_imports_its_framework_and_the_standard_library_only(family: str, to: str) -> None:
    for schedule in EXAMPLES[family]:
        text = text_of(schedule, to)
        nodes = list(ast.walk(ast.parse(text)))
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        roots = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
        with case(schedule=schedule):
            assert roots == ({"jax", "numpy"} if to == "optax" else {"torch"})
            assert all(len(line) <= 124 for line in text.splitlines())


# PyTorch


def optimizer_of(*lrs: float, tensor: bool = False) -> torch.optim.Optimizer:
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": torch.tensor(lr) if tensor else lr} for lr in lrs]
    return torch.optim.SGD(groups)


def used(optimizer: torch.optim.Optimizer, scheduler: Any, start: int, stop: int) -> list[tuple[float, ...]]:
    """The LRs that these updates use."""
    lrs = []
    for _ in range(start, stop):
        lrs.append(tuple(float(group["lr"]) for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    return lrs


@pytest.mark.parametrize("to", ["transformers", "lightning"])
def test_the_frameworks_on_torch_get_the_same_scheduler(to: str) -> None:
    codes = ["\n".join(x for x in text_of(HILL, t, 12).splitlines() if not x.startswith("#")) for t in ("torch", to)]
    assert codes[1].startswith(codes[0].rstrip())


@of_every_family
def test_an_export_to_torch_sets_the_lr_of_every_update(family: str) -> None:
    for schedule in EXAMPLES[family]:
        module, steps, optimizer = imported(text_of(schedule, "torch")), steps_of(schedule), optimizer_of(1e-3)
        scheduler = module["make_scheduler"](optimizer)
        lrs = used(optimizer, scheduler, 0, steps)
        with case(schedule=schedule):
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
            assert lrs == [(float(schedule(step)),) for step in range(steps)]
            with pytest.raises(RuntimeError, match=f"over after {steps} updates; .*after='hold'"):
                optimizer.step()


@of_every_family
def test_after_its_last_step_a_schedule_is_held_where_that_is_wanted(family: str) -> None:
    for schedule in EXAMPLES[family]:
        module, steps, optimizer = imported(text_of(schedule, "torch")), steps_of(schedule), optimizer_of(1e-3)
        lrs = used(optimizer, module["make_scheduler"](optimizer, after="hold"), 0, steps + 3)
        with case(schedule=schedule):
            assert lrs == [(float(schedule(min(step, steps - 1))),) for step in range(steps + 3)]


def test_what_comes_after_the_end_is_one_of_two_things() -> None:
    with pytest.raises(ValueError, match="after: must be 'error' or 'hold', got 'zero'"):
        imported(text_of(HILL, "torch", 12))["make_scheduler"](optimizer_of(0.1), after="zero")
    with pytest.raises(ValueError, match="after: must be 'error' or 'hold', got 'zero'"):
        imported(text_of(HILL, "optax", 12))["make_schedule"](after="zero")
    with pytest.raises(ValueError, match="the schedule has 12 steps, and step 13 is after them"):
        imported(text_of(HILL, "torch", 12))["lr"](13)


def test_a_resumed_scheduler_holds_if_it_was_made_to() -> None:
    make = imported(text_of(HILL, "torch", 12))["make_scheduler"]
    first, second = optimizer_of(0.1), optimizer_of(0.1)
    scheduler, again = make(first), make(second, after="hold")
    used(first, scheduler, 0, 12)
    again.load_state_dict(scheduler.state_dict())
    assert used(second, again, 12, 14) == [(HILL(11),)] * 2


@of_every_family
@pytest.mark.parametrize("early", [False, True], ids=["optimizer loaded after", "optimizer loaded before"])
def test_an_export_to_torch_resumes_at_every_step(family: str, early: bool) -> None:
    for schedule in EXAMPLES[family]:
        with case(schedule=schedule):
            resumes_at_every_step(schedule, early)


def resumes_at_every_step(schedule: Any, early: bool) -> None:
    """A scheduler of another process goes on; the optimizer's state is loaded before it is made, or after."""
    text, steps, first = text_of(schedule, "torch"), steps_of(schedule), optimizer_of(0.1, 0.3)
    scheduler = imported(text)["make_scheduler"](first)
    make = imported(text)["make_scheduler"]  # as in another process
    for step in range(steps):
        second = optimizer_of(0.1, 0.3)
        if early:
            second.load_state_dict(first.state_dict())
        again = make(second)
        if not early:
            second.load_state_dict(first.state_dict())
        again.load_state_dict(scheduler.state_dict())
        lr = float(schedule(step))
        assert [g["lr"] for g in second.param_groups] == again.get_last_lr() == [lr, 0.3 / 0.1 * lr]
        used(second, again, 0, 1)
        used(first, scheduler, 0, 1)
        assert again.get_last_lr() == scheduler.get_last_lr()


@pytest.mark.parametrize(
    ("lrs", "ratios"),
    [((0.1, 0.05), (1.0, 0.5)), ((0.01, 0.04, 0.0), (1.0, 4.0, 0.0)), ((0.0, 0.0), (1.0, 1.0))],
    ids=["two", "the first is the unit", "all 0"],
)
@pytest.mark.parametrize("tensor", [False, True], ids=["float", "tensor"])
def test_param_groups_keep_the_ratio_to_the_first(
    lrs: tuple[float, ...], ratios: tuple[float, ...], tensor: bool
) -> None:
    optimizer = optimizer_of(*lrs, tensor=tensor)
    found = used(optimizer, imported(text_of(HILL, "torch", 12))["make_scheduler"](optimizer), 0, 12)
    expected = [tuple(ratio * HILL(step) for ratio in ratios) for step in range(12)]
    assert np.array(found) == pytest.approx(np.array(expected), rel=1e-6 if tensor else 0, abs=0)


def test_an_export_to_torch_resumes_from_saved_files_with_tensor_lrs(tmp_path: Path) -> None:
    make = imported(text_of(HILL, "torch", 12))["make_scheduler"]
    first = optimizer_of(0.1, 0.05, tensor=True)
    scheduler = make(first)
    used(first, scheduler, 0, 5)
    torch.save({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()}, tmp_path / "state")
    states = torch.load(tmp_path / "state", weights_only=True)
    second = optimizer_of(0.1, 0.05, tensor=True)
    second.load_state_dict(states["optimizer"])
    again = make(second)
    again.load_state_dict(states["scheduler"])
    assert used(second, again, 5, 12) == used(first, scheduler, 5, 12)


ALONE = """
import json, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("lrctl"):
            raise ImportError(name)

sys.meta_path.insert(0, Without())
try:
    import lrctl
except ImportError:
    pass
else:
    raise SystemExit("lrctl can be imported")
import torch

found = {}
for path in sys.argv[1:]:
    module = {}
    exec(open(path).read(), module)
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    scheduler = module["make_scheduler"](optimizer)
    found[path] = []
    for _ in range(module["STEPS"]):
        found[path].append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
print(json.dumps(found))
"""


def test_exports_work_where_lrctl_cannot_be_imported(tmp_path: Path) -> None:
    expected = {}
    for i, schedule in enumerate(itertools.chain(*EXAMPLES.values())):
        path = tmp_path / f"{i}.py"
        path.write_text(text_of(schedule, "torch"))
        expected[str(path)] = lrs_of(schedule, steps_of(schedule))
    done = subprocess.run([sys.executable, "-c", ALONE, *expected], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


# transformers and Lightning


class Rows(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, place: int) -> Any:
        return {"x": torch.ones(2), "labels": torch.zeros(1)}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x: Any, labels: Any) -> Any:
        return {"loss": (self.layer(x) - labels).square().mean()}


def test_the_trainer_of_transformers_uses_the_schedule(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    model = Net()
    optimizer = torch.optim.SGD(model.parameters())
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["lr"]))
    scheduler = imported(text_of(HILL, "transformers", 12))["make_scheduler"](optimizer)
    quiet: dict[str, Any] = {"report_to": [], "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no"}
    arguments = TrainingArguments(
        str(tmp_path), max_steps=12, per_device_train_batch_size=2, gradient_accumulation_steps=2, use_cpu=True, **quiet
    )
    Trainer(model, arguments, train_dataset=Rows(), optimizers=(optimizer, scheduler)).train()
    assert seen == lrs_of(HILL, 12)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning", "ignore:.*does not have many workers.*")
def test_the_trainer_of_lightning_uses_the_schedule(tmp_path: Path) -> None:
    import lightning

    configure = imported(text_of(HILL, "lightning", 12))["configure"]
    seen = []

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Net()

        def training_step(self, batch: Any) -> Any:
            return self.net(**batch)["loss"]

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters())
            optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["lr"]))
            return configure(optimizer)

    trainer = lightning.Trainer(
        max_steps=12,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=2,
        default_root_dir=tmp_path,
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(Rows(), batch_size=2))
    assert seen == lrs_of(HILL, 12)


# optax


@of_every_family
def test_an_export_to_optax_gives_the_lr_of_every_update(family: str) -> None:
    for schedule in EXAMPLES[family]:
        with case(schedule=schedule):
            is_used_by_optax(schedule)


def is_used_by_optax(schedule: Any) -> None:
    """Every update of a compiled loop has the schedule's LR, rounded to 32 bits."""
    import jax
    import jax.numpy as jnp
    import optax

    steps = steps_of(schedule)
    module = imported(text_of(schedule, "optax"))
    traced = module["make_schedule"](after="hold")
    assert np.isnan(module["schedule"](steps))
    assert float(module["schedule"](steps - 1)) == np.float32(schedule(steps - 1))
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=traced)
    weight = jnp.zeros(())

    @jax.jit
    def train(state: Any) -> Any:
        def update(state: Any, _: Any) -> Any:
            change, state = optimizer.update(jnp.ones(()), state, weight)
            return state, (state.hyperparams["learning_rate"], change)

        return jax.lax.scan(update, state, length=steps + 3)[1]

    lrs, changes = train(optimizer.init(weight))
    expected = np.array([schedule(min(step, steps - 1)) for step in range(steps + 3)], dtype=np.float32)
    assert np.asarray(lrs).tobytes() == expected.tobytes()
    assert (np.asarray(changes) == -expected).all()


# Data


@of_every_family
def test_an_export_to_csv_has_a_row_per_update(family: str) -> None:
    for schedule in EXAMPLES[family]:
        rows = list(csv.reader(io.StringIO(text_of(schedule, "csv"))))
        with case(schedule=schedule):
            assert rows[0] == ["step", "lr"]
            assert [int(step) for step, _ in rows[1:]] == list(range(steps_of(schedule)))
            assert [float(lr) for _, lr in rows[1:]] == lrs_of(schedule, steps_of(schedule))


@of_every_family
def test_an_export_to_json_tells_what_it_is(family: str) -> None:
    for schedule in EXAMPLES[family]:
        document = json.loads(text_of(schedule, "json"))
        with case(schedule=schedule):
            assert document["steps"] == steps_of(schedule)
            assert document["lr"] == lrs_of(schedule, steps_of(schedule))
            assert document["made_by"]["source"] == "run r"
            assert document["schedule"]["family"] == registry().family(schedule) == family


# What it was found with


def found_on(store: Path, **settings: Any) -> str:
    recipe = searches.small(**{"workload__batch_size": 6, "training__micro_batches": 2, **settings})
    return str(searches.search(store, recipe)["run"])


def exported(store: Path, run: str, to: str) -> str:
    found = finished(store, run)
    return export(found.schedule, found.result.steps, to, source=f"run {run}", found=found_with(found))


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


CRAFTED: dict[str, tuple[str, dict[str, Any]]] = {
    "an option": ("torch.optim.NAdam", {"x=1)\nraise SystemExit('smuggled')\n#": 1}),
    "an option that is a keyword": ("torch.optim.NAdam", {"class": 1}),
    "a name": ("os import sep; raise SystemExit('smuggled'); from torch.optim:NAdam", {}),
    "a class": ("torch.optim.NAdam; raise SystemExit('smuggled')", {}),
    "a file": ("/a/b import sep; raise SystemExit('smuggled'); import c.py:NAdam", {}),
    "a module of lrctl's": ("lrctl.__main__:Muon", {}),
}


def crafted(store: Path, run: str, name: str, options: dict[str, Any]) -> None:
    """Write another optimizer into a run's recipe, with the digests that go with it."""
    from lrctl.recipe.schema import toml_value

    folder = store / "runs" / run
    (folder / "recipe.toml").write_text(
        (folder / "recipe.toml").read_text().partition("[optimizer]")[0]
        + f"[optimizer]\nname = {toml_value(name)}\n[optimizer.options]\n"
        + "".join(f"{toml_value(key)} = {toml_value(value)}\n" for key, value in options.items())
    )
    known = read_signed(folder / "identity.json")
    assert known is not None
    recipe = sha256((folder / "recipe.toml").read_bytes()).hexdigest()
    write_signed(folder / "identity.json", known | {"recipe": recipe})


@pytest.mark.parametrize(("name", "options"), CRAFTED.values(), ids=CRAFTED)
def test_a_store_cannot_smuggle_code_into_an_export(
    name: str, options: dict[str, Any], run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["lrctl", "--version"])  # what such a module would see if it were run
    crafted(tmp_path / ".lrctl", run, name, options)
    for to in ("torch", "transformers", "lightning"):
        text = exported(tmp_path / ".lrctl", run, to)
        ast.parse(text)
        assert "smuggled" not in text
        assert "NAdam" not in text


@pytest.mark.parametrize(("name", "options"), list(CRAFTED.values())[:-1], ids=list(CRAFTED)[:-1])
def test_nor_can_what_a_contest_found(name: str, options: dict[str, Any], run: str, tmp_path: Path) -> None:
    store = Store(tmp_path / ".lrctl")
    found = store.run_result(run)
    assert found is not None
    store.finish(replace(found, optimizer={"name": name, "options": options}))
    with pytest.raises(UsageError, match=f"^run {run}: optimizer"):
        exported(store.path, run, "torch")


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
    found = place.run_result(run)
    assert found is not None
    assert found.checkpoint
    if not deleted:
        place.finish(replace(found, checkpoint=None))
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
    result = store.run_result(run)
    assert result is not None
    assert result.weights
    store.finish(replace(result, start=6))
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


# The command


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with a finished run, and its name."""
    store = tmp_path_factory.mktemp("searched") / "store"
    return store, searches.search(store)["run"]


@pytest.fixture
def run(lrctl: Lrctl, searched: tuple[Path, str]) -> str:
    """A finished run in the default store of the test's own working directory."""
    del lrctl  # it has changed the working directory
    shutil.copytree(searched[0], ".lrctl")
    return searched[1]


def lrs_in(text: str, to: str) -> Any:
    """The LRs that an export holds."""
    if to in ("csv", "json"):
        return json.loads(text)["lr"] if to == "json" else text
    module = imported(text)
    return [module["lr"](step) for step in range(module["STEPS"])]


@pytest.mark.parametrize("to", TARGETS)
def test_a_run_and_its_schedule_file_export_the_same_lrs(to: str, lrctl: Lrctl, run: str) -> None:
    by_name, by_file = lrctl("export", run, "--to", to), lrctl("export", f".lrctl/runs/{run}/schedule.json", "--to", to)
    assert (by_name.code, by_name.err, by_file.code, by_file.err) == (0, "", 0, "")
    assert lrs_in(by_file.out, to) == lrs_in(by_name.out, to)
    assert ("found_with" in by_name.out.lower()) is (to not in ("csv", "optax"))


def test_a_target_is_a_module_or_data() -> None:
    assert set(TARGETS) == {*MODULES, "csv", "json"}


def test_the_file_of_a_run_defines_its_schedule(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    done = lrctl("export", run, "--to", "torch", "--out", "found.py")
    assert (done.code, done.out, done.error) == (0, "", f"wrote found.py: 24 steps from run {run} for torch")
    text = (tmp_path / "found.py").read_text()
    assert "from found import make_scheduler" in text
    schedule = finished(tmp_path / ".lrctl", run).schedule
    assert lrs_of(imported(text)["lr"], 24) == lrs_of(schedule, 24)


@pytest.mark.parametrize("name", ["class.py", "1.py", "a b.py", "lr-schedule.py", "found", "found.txt", "a.b.py"])
def test_a_module_that_cannot_be_imported_is_refused(name: str, lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    done = lrctl("export", run, "--to", "torch", "--out", name)
    told = f"error: --out {name}: Python cannot import a file of that name; choose another name, such as lr_schedule.py"
    assert (done.code, done.error, (tmp_path / name).exists()) == (2, told, False)


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("torch", "torch"), ("transformers", "torch"), ("transformers", "transformers"), ("lightning", "lightning"),
        ("optax", "jax"), ("optax", "optax"), ("torch", "random"), ("torch", "lrctl"),
    ],
)  # fmt: skip
def test_a_module_does_not_stand_in_the_place_of_another(
    to: str, name: str, lrctl: Lrctl, run: str, tmp_path: Path
) -> None:
    done = lrctl("export", run, "--to", to, "--out", f"{name}.py")
    told = f"error: --out {name}.py: it would stand in the place of the module {name}; choose another name, such as"
    assert (done.code, done.error.startswith(told), (tmp_path / f"{name}.py").exists()) == (2, True, False)


@pytest.mark.parametrize("name", ["random.py", "lr-schedule.csv", "torch"])
def test_a_file_of_data_is_called_anything(name: str, lrctl: Lrctl, run: str) -> None:
    assert lrctl("export", run, "--to", "csv", "--out", name).code == 0


def test_a_file_is_replaced_only_if_asked(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    target = tmp_path / "train.py"
    target.write_text("mine")
    refused = lrctl("export", run, "--to", "csv", "--out", "train.py")
    assert (refused.code, target.read_text()) == (2, "mine")
    assert refused.error == (
        "error: --out train.py: the file exists and holds something else; choose another, or give --force"
    )
    assert lrctl("export", run, "--to", "csv", "--out", "train.py", "--force").code == 0
    assert target.read_text().startswith("step,lr\n")
    assert lrctl("export", run, "--to", "csv", "--out", "train.py").code == 0  # it holds just that


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["new", "replaced"])
def test_a_full_disk_leaves_the_file_as_it_was(
    force: list[str], run: str, lrctl: Lrctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if force:
        (tmp_path / "out.csv").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    command = ("export", run, "--to", "csv", "--out", "out.csv", *force)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        done = lrctl(*command)
        assert (done.code, done.out) == (1, "")
        assert done.error.endswith("out.csv: No space left on device; free some space or choose another --out")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert lrctl(*command).code == 0


def test_a_link_to_a_file_is_written_through_and_what_is_no_file_is_refused(
    run: str, lrctl: Lrctl, tmp_path: Path
) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert lrctl("export", run, "--to", "csv", "--out", "link.csv").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").is_file()
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", "/dev/null"):
        done = lrctl("export", run, "--to", "csv", "--out", place, "--force")
        assert (done.code, done.out) == (2, "")
        assert f"--out {place}: not a regular file" in done.error


def test_a_file_name_cannot_smuggle_code_into_the_header(lrctl: Lrctl, run: str, tmp_path: Path) -> None:
    name = "a\nraise SystemExit('smuggled')\r#\u2028.json"
    (tmp_path / name).write_text((tmp_path / ".lrctl/runs" / run / "schedule.json").read_text())
    done = lrctl("export", name, "--to", "torch")
    assert (done.code, done.err) == (0, "")
    assert imported(done.out)["STEPS"] == 24


SCHEDULE = {"family": "piecewise-linear", "params": {"knots": [[0, 0.1]]}}
DOCUMENT = {"format": "lrctl-schedule/1", "steps": 10, "schedule": SCHEDULE}

BAD_FILES: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "s.json: must be a schedule.json, but it is not JSON"),
    "not a schedule": ({"a": 1}, "s.json: must be a schedule.json of format 'lrctl-schedule/1', found format None"),
    "no steps": (DOCUMENT | {"steps": 0}, "s.json: steps: must be a whole number from 1 to 10,000,000, got 0"),
    "unknown family": (
        DOCUMENT | {"schedule": SCHEDULE | {"family": "piecewise-lineal"}},
        "s.json: schedule.family: unknown schedule 'piecewise-lineal'; did you mean 'piecewise-linear'?",
    ),
    "unknown parameter": (
        DOCUMENT | {"schedule": SCHEDULE | {"params": {"knot": 1}}},
        "schedule family PiecewiseLinear:",
    ),
    "text for a number": (
        DOCUMENT | {"schedule": SCHEDULE | {"params": {"knots": [["a", 0.1]]}}},
        "schedule family PiecewiseLinear: knots: ",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_schedule_file_is_an_error_that_names_it(
    content: Any, message: str, lrctl: Lrctl, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text(content if isinstance(content, str) else json.dumps(content))
    done = lrctl("export", "s.json", "--to", "csv")
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith(f"error: {message}")


BAD_COMMANDS: dict[str, tuple[Callable[[str], str], str]] = {
    "unknown run": (lambda run: f"{run}x --to csv", "unknown run; did you mean"),
    "unknown target": (lambda run: f"{run} --to toch", "--to toch: unknown target; did you mean 'torch'?"),
    "no such file": (lambda _: "none.json --to csv", "none.json: cannot be read as a schedule.json"),
    "no store": (lambda run: f"{run} --to csv --store nowhere", "--store nowhere: there is no store"),
    "unfinished": (lambda _: "begun --to csv", "run begun: it is not finished"),
    "no folder": (lambda run: f"{run} --to csv --out no/x.csv", "--out no/x.csv: there is no folder no; make it"),
    "a folder": (lambda run: f"{run} --to csv --out .lrctl", "--out .lrctl: not a regular file; choose"),
}


@pytest.mark.parametrize(("command", "message"), BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_a_bad_export_is_an_error_that_says_what_to_do(
    command: Callable[[str], str], message: str, lrctl: Lrctl, run: str, tmp_path: Path
) -> None:
    (tmp_path / ".lrctl" / "runs" / "begun").mkdir()
    done = lrctl("export", *command(run).split())
    assert (done.code, done.out) == (2, "")
    assert message in done.error


@dataclass(frozen=True)
class Wrong:
    lr: Any

    def __call__(self, step: float) -> Any:
        return self.lr if step > 3 else 0.1


NO_LRS: dict[str, tuple[Any, str]] = {
    "negative": (-0.1, "gives LR -0.1 at step 4, not one finite and >= 0"),
    "nan": (float("nan"), "gives LR nan at step 4, not one finite and >= 0"),
    "infinite": (float("inf"), "gives LR inf at step 4, not one finite and >= 0"),
    "complex": (1j, "fails at step 4 with TypeError: "),
}


@pytest.mark.parametrize(("lr", "message"), NO_LRS.values(), ids=NO_LRS)
def test_an_lr_that_is_none_is_refused(lr: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^run r: schedule family Wrong {message}.*; check its params$"):
        text_of(Wrong(lr), "csv")


PLUGIN = """
from dataclasses import dataclass, replace

from lrctl import hookimpl

@dataclass(frozen=True)
class Shrinking:
    lr: float

    def init(self):
        return 0

    def __call__(self, step, state):
        return self.lr / (1 + state)

    def update(self, state, seen):
        return state + 1

@dataclass(frozen=True)
class Derived:
    peak: float

    @property
    def half(self):
        return self.peak / 2

    def __call__(self, step):
        return self.half / (1 + step)

@hookimpl
def register_schedules(register):
    register(Shrinking, name="shrinking", help="for the tests")
    register(Derived, name="derived", help="for the tests")
"""


def test_an_adaptive_schedule_is_exported_by_the_run_that_used_it(
    lrctl: Lrctl, tmp_path: Path, installed: Callable[..., None]
) -> None:
    installed(families=PLUGIN)
    document = searches.search(tmp_path / ".lrctl")
    adaptive: dict[str, Any] = {"family": "shrinking", "params": {"lr": 0.5}}
    place = Store(tmp_path / ".lrctl")
    found = place.run_result(document["run"])
    assert found is not None
    place.finish(replace(found, schedule=ScheduleRecord(**adaptive)))
    done = lrctl("export", document["run"], "--to", "json")
    assert done.document["lr"] == finished(tmp_path / ".lrctl", document["run"]).history()["lr"].tolist()
    (tmp_path / "s.json").write_text(json.dumps(DOCUMENT | {"schedule": adaptive}))
    refused = lrctl("export", "s.json", "--to", "csv")
    assert refused.code == 2
    assert refused.error == (
        "error: s.json: the LRs of family shrinking are decided during a run; "
        "export the run that used it by its name, and the LRs it used are replayed"
    )


@pytest.mark.parametrize("to", ["torch", "transformers", "lightning", "optax"])
def test_a_family_that_cannot_be_carried_is_exported_as_a_table(
    to: str, lrctl: Lrctl, tmp_path: Path, installed: Callable[..., None]
) -> None:
    installed(families=PLUGIN)
    schedule = {"family": "derived", "params": {"peak": 0.3}}
    (tmp_path / "s.json").write_text(json.dumps(DOCUMENT | {"steps": 40, "schedule": schedule}))
    done = lrctl("export", "s.json", "--to", to)
    assert (done.code, done.err) == (0, "")
    why = "# Its formula could not be carried (it uses self.half, which is not a field), so its LRs stand in a table."
    assert why in done.out.splitlines()
    assert lrs_of(imported(done.out)["lr"], 41) == [0.15 / (1 + step) for step in range(41)]
