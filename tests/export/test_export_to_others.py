"""Exports where lrctl cannot be imported, in the Trainers of transformers and Lightning, to optax, and as data."""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cases import case
from export.exports import HILL, Net, Rows, fit_with_lightning, text_of
from export.test_formula import EXAMPLES, imported, lrs_of, of_every_family, steps_of
from lrctl.registry.registry import registry

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
    configure = imported(text_of(HILL, "lightning", 12))["configure"]
    seen = []

    def configured(parameters: Any) -> Any:
        optimizer = torch.optim.SGD(parameters)
        optimizer.register_step_pre_hook(lambda *_: seen.append(optimizer.param_groups[0]["lr"]))
        return configure(optimizer)

    fit_with_lightning(configured, 12, tmp_path, accumulate_grad_batches=2)
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

    def train(state: Any) -> Any:
        def update(state: Any, _: Any) -> Any:
            change, state = optimizer.update(jnp.ones(()), state, weight)
            return state, (state.hyperparams["learning_rate"], change)

        return jax.lax.scan(update, state, length=steps + 3)[1]

    lrs, changes = jax.jit(train)(optimizer.init(weight))
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
