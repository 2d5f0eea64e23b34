"""Adaptive schedules drive the Trainer of transformers, on tiny models with random weights and generated data."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer
from transformers.optimization import GreedyLR as Theirs
from transformers.utils import logging

from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.huggingface import AdaptiveLRCallback, attach
from lrctl.lr_scheduler import AdaptiveLR, GreedyLR, ScheduleLR
from lrctl.registry.registry import registry
from trainers import LR, MODELS, STEPS, Net, Points, Recorder, Words, net, quiet, trainer_of

LIVELY: dict[str, Any] = {"patience": 1, "factor": 0.5, "window_size": 3}
"""GreedyLR that moves the LR within a few updates."""
NOW_AND_THEN: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 6, "metric_for_best_model": "loss"}
"""The evaluations that the Trainer's own greedy schedule asks for."""


@pytest.fixture(autouse=True)
def quietly() -> Iterator[None]:
    with quiet():
        yield


def by_hand(scheduler: Callable[[torch.optim.Optimizer], Any], losses: list[float], groups: int = 2) -> Any:
    """The LRs of updates that gave these losses, in a plain loop."""
    weights = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(groups)]
    optimizer = torch.optim.SGD(weights, lr=LR)
    ours, lrs = scheduler(optimizer), []
    for loss in losses:
        lrs.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        ours.step(loss)
    return lrs


@pytest.fixture(params=["hook", "attached"])
def follow(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A Trainer with the callback among its callbacks, or attached to it."""

    def make(folder: Path, callback: Any, **settings: Any) -> Any:
        if request.param == "hook":
            return trainer_of(folder, callback, **settings)
        trainer = trainer_of(folder, **settings)
        attach(trainer, callback)
        return trainer

    return make


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_each_update_uses_what_greedy_lr_makes_of_the_losses_before(
    model: str, accumulate: int, follow: Any, tmp_path: Path
) -> None:
    callback = AdaptiveLRCallback(**LIVELY)
    trainer = follow(tmp_path, callback, model=model, gradient_accumulation_steps=accumulate)
    trainer.train()
    assert len(trainer.losses) == STEPS
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)
    assert len({lr for lr, _ in trainer.lrs}) >= 3
    assert not trainer.model._forward_hooks


def test_plateau_and_its_settings_can_be_chosen(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"patience": 0, "factor": 0.5, "threshold": 0.01}
    trainer = trainer_of(tmp_path, AdaptiveLRCallback("plateau", **settings))
    trainer.train()
    family = registry().get("schedule", "plateau").target
    assert trainer.lrs == by_hand(lambda o: AdaptiveLR(o, family(LR, **settings)), trainer.losses)
    assert trainer.lrs[-1][0] < LR


def test_bounds_can_be_given_for_each_param_group(tmp_path: Path) -> None:
    settings = LIVELY | {"min_lr": [1e-5, 2e-4], "max_lr": (4e-3, 2e-3)}
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**settings))
    trainer.train()
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **settings), trainer.losses)
    assert any(a != b for a, b in trainer.lrs)


def test_settings_may_be_numbers_and_arrays_of_numpy() -> None:
    callback = AdaptiveLRCallback(patience=np.int64(1), factor=np.float32(0.5), max_lr=np.array([0.5, 0.25]))
    plain = AdaptiveLRCallback(patience=1, factor=0.5, max_lr=[0.5, 0.25])
    assert json.dumps(callback.arguments()) == json.dumps(plain.arguments())


@pytest.mark.parametrize("kind", ["linear", "constant", "cosine", "reduce_lr_on_plateau", "greedy"])
def test_the_trainers_own_schedule_changes_nothing(kind: str, tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY), lr_scheduler_type=kind, **NOW_AND_THEN)
    trainer.train()
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)


@pytest.mark.parametrize("kind", ["linear", "greedy"])
def test_the_trainer_logs_the_lrs_and_losses_of_the_updates(kind: str, tmp_path: Path) -> None:
    log: dict[str, Any] = {"logging_strategy": "steps", "logging_steps": 1, "lr_scheduler_type": kind}
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY), **NOW_AND_THEN, **log)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["learning_rate"] for entry in logged] == [lr for lr, _ in trainer.lrs]
    assert [entry["loss"] for entry in logged] == trainer.losses


def test_an_optimizer_of_the_users_own_keeps_its_lrs_ratio(tmp_path: Path) -> None:
    model = net()
    groups = [{"params": [p], "lr": lr} for p, lr in zip(model.parameters(), (0.1, 0.05), strict=True)]
    optimizer, lrs = torch.optim.SGD(groups), []
    optimizer.register_step_pre_hook(lambda *_: lrs.append([g["lr"] for g in optimizer.param_groups]))
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY), model="plain module", optimizers=(optimizer, None))
    trainer.train()
    assert lrs[0] == [0.1, 0.05]
    assert len({a for a, _ in lrs}) > 3
    assert all(a == 2 * b for a, b in lrs)


@pytest.mark.parametrize("name", ["greedy", "plateau"])
@pytest.mark.parametrize("used", [False, True], ids=["a fresh optimizer", "one that ScheduleLR has driven"])
def test_groups_begin_with_the_users_lrs_and_are_scaled_as_in_a_plain_loop(
    used: bool, name: str, tmp_path: Path
) -> None:
    def optimizer_of(weight: Any, bias: Any) -> torch.optim.Optimizer:
        groups = [{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.1, "lr_scale": 0.5}]
        optimizer = torch.optim.SGD(groups)
        if used:
            ScheduleLR(optimizer, PiecewiseLinear(((0, 0.7),)))
        return optimizer

    settings: dict[str, Any] = LIVELY if name == "greedy" else {"patience": 0, "factor": 0.5, "threshold": 0.01}
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(name, **settings), model="plain module")
    trainer.optimizer = optimizer_of(*trainer.model.parameters())
    trainer.train()
    alone = optimizer_of(*(torch.zeros(1, requires_grad=True) for _ in range(2)))
    scheduler, expected = AdaptiveLR(alone, name, **settings), []
    for loss in trainer.losses:
        expected.append([group["lr"] for group in alone.param_groups])
        alone.step()
        scheduler.step(loss)
    assert trainer.lrs[0] == [0.1, 0.05]
    assert trainer.lrs == expected
    assert len({lr for lr, _ in trainer.lrs}) > 1


# Resuming


@pytest.mark.parametrize("restored", [False, True], ids=["by the callback", "by the Trainer"])
@pytest.mark.parametrize("kind", ["linear", "greedy"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(
    kind: str, restored: bool, follow: Any, tmp_path: Path
) -> None:
    settings = NOW_AND_THEN | {"save_strategy": "steps", "save_steps": 4, "lr_scheduler_type": kind}
    whole = follow(tmp_path, AdaptiveLRCallback(**LIVELY), **settings)
    whole.train()
    settings |= {"restore_callback_states_from_checkpoint": restored}
    second = follow(tmp_path / "second", AdaptiveLRCallback(**LIVELY), **settings)
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert (second.lrs, second.losses) == (whole.lrs[4:], whole.losses[4:])
    assert all(map(torch.equal, second.model.parameters(), whole.model.parameters()))
    files = [folder / "checkpoint-12" / "trainer_state.json" for folder in (tmp_path, tmp_path / "second")]
    kept = [json.loads(file.read_text())["stateful_callbacks"]["AdaptiveLRCallback"] for file in files]
    assert kept[0] == kept[1]


def test_a_checkpoint_of_before_the_callback_was_added_can_be_resumed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 5}
    trainer_of(tmp_path, max_steps=5, **settings).train()
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY), **settings)
    trainer.train(resume_from_checkpoint=True)
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)
    again = trainer_of(tmp_path / "again", AdaptiveLRCallback(**LIVELY))
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    assert again.lrs == trainer.lrs[5:]


def test_other_settings_than_the_checkpoints_are_refused(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"save_strategy": "steps", "max_steps": 4}
    trainer_of(tmp_path, AdaptiveLRCallback(patience=2), **settings).train()
    other = trainer_of(tmp_path, AdaptiveLRCallback(patience=3), max_steps=8)
    with pytest.raises(UsageError, match=r"the checkpoint was made with .*'patience': 2.*, not with .*'patience': 3"):
        other.train(resume_from_checkpoint=True)


def test_a_second_training_starts_over(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY))
    trainer.train()
    trainer.lrs, trainer.losses = [], []
    trainer.optimizer = None
    trainer.train()
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)


# Evaluations

EVALUATED: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 2, "max_steps": 30}
SAME: dict[str, Any] = {"patience": 1, "factor": 0.7, "min_lr": 1e-4, "max_lr": 5e-3, "smooth": True, "window_size": 4}


@pytest.mark.parametrize(("metric", "at_start"), [("eval_loss", False), ("loss", True)])
def test_at_evaluations_it_equals_greedy_of_transformers(metric: str, at_start: bool, tmp_path: Path) -> None:
    settings = EVALUATED | {"eval_on_start": at_start, "model": "plain module"}
    callback = AdaptiveLRCallback(on="evaluation", metric=metric, eps=1e-8, **SAME)
    ours = trainer_of(tmp_path, callback, **settings)
    ours.train()
    settings |= {"lr_scheduler_type": "greedy", "lr_scheduler_kwargs": SAME, "metric_for_best_model": "loss"}
    theirs = trainer_of(tmp_path, **settings)
    theirs.train()
    assert isinstance(theirs.lr_scheduler, Theirs)
    assert (ours.lrs, ours.losses, ours.metrics) == (theirs.lrs, theirs.losses, theirs.metrics)
    assert len({lr for lr, _ in ours.lrs}) > 3
    ours.evaluate()
    assert callback.scheduler
    assert callback.scheduler.last_epoch == 15


def test_the_metric_of_one_of_several_data_sets_can_be_followed(tmp_path: Path) -> None:
    sets = {"a": Words(), "b": Words()}
    callback = AdaptiveLRCallback(on="evaluation", metric="b_loss")
    trainer_of(tmp_path, callback, kind=Trainer, eval_dataset=sets, **EVALUATED).train()
    assert callback.scheduler
    assert callback.scheduler.last_epoch == 15


def test_a_run_by_evaluations_resumes(tmp_path: Path) -> None:
    settings = EVALUATED | {"save_strategy": "steps", "save_steps": 6, "eval_on_start": True}
    whole = trainer_of(tmp_path, AdaptiveLRCallback(on="evaluation", **SAME), **settings)
    whole.train()
    second = trainer_of(tmp_path / "second", AdaptiveLRCallback(on="evaluation", **SAME), **settings)
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-12"))
    assert (second.lrs, second.losses) == (whole.lrs[12:], whole.losses[12:])


# A loss of one's own


class Doubled(Recorder):
    def compute_loss(self, *arguments: Any, **others: Any) -> Any:
        return 2 * super().compute_loss(*arguments, **others)


def test_a_loss_that_is_not_the_models_is_refused_after_the_first_update(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(), kind=Doubled)
    with pytest.raises(
        UsageError, match=r"the loss of the training is 6\..*, and the one the model returns 3\..*attach"
    ):
        trainer.train()
    assert len(trainer.losses) == 1


SMOOTHED: dict[str, Any] = {"label_smoothing_factor": 0.1}


def one(*_: Any, **__: Any) -> Any:
    return torch.ones((), requires_grad=True) * 1.0


@pytest.mark.parametrize(
    "settings", [SMOOTHED, {"compute_loss_func": one}], ids=["label smoothing", "compute_loss_func"]
)
def test_a_model_that_is_not_asked_for_its_loss_is_refused(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the model returns no loss in training; use attach"):
        trainer_of(tmp_path, AdaptiveLRCallback(), **settings).train()


def test_a_loss_that_is_not_the_models_is_followed_where_the_callback_is_attached(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, kind=Doubled, gradient_accumulation_steps=2, **SMOOTHED)
    attach(trainer, AdaptiveLRCallback(**LIVELY))
    trainer.train()
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)
    assert not [entry for entry in trainer.state.log_history if "loss" in entry], "nothing more is logged"


class Broken(Net):
    def forward(self, x: Any, labels: Any = None) -> Any:
        found = super().forward(x, labels)
        return found | {"loss": found["loss"] + (float("nan") if float(x[0, 0]) > 0.5 else 0.0)}


def test_a_loss_that_is_not_a_number_is_bad_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(MODELS, "broken", (Broken, Points()))
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**LIVELY), model="broken", logging_strategy="steps")
    trainer.train()
    assert 0 < sum(map(math.isnan, trainer.losses)) < STEPS
    assert trainer.lrs == by_hand(lambda o: GreedyLR(o, **LIVELY), trainer.losses)


# Several processes


def in_one_of_several(folder: str) -> None:
    """What each process does; its losses and LRs are left in the folder."""
    logging.set_verbosity(40)  # errors only
    torch.set_num_threads(1)
    found = {}
    for model in ("gpt", "plain module"):
        for way in ("hook", "attached"):
            callback = AdaptiveLRCallback(**LIVELY)
            callbacks = [callback] if way == "hook" else []
            trainer = trainer_of(Path(folder), *callbacks, model=model, gradient_accumulation_steps=2)
            if way == "attached":
                attach(trainer, callback)
            trainer.train()
            found[f"{model}, {way}"] = {"losses": trainer.losses, "lrs": trainer.lrs}
    (Path(folder) / f"{os.environ['RANK']}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_all_processes_use_the_lrs_that_their_mean_loss_gives(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    program = [sys.executable, "-c", f"import test_huggingface as t; t.in_one_of_several({str(tmp_path)!r})"]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    common |= {"PYTHONPATH": str(Path(__file__).parent), "HF_HUB_OFFLINE": "1"}
    ranks = [
        subprocess.Popen(program, env={**os.environ, **common, "RANK": r, "LOCAL_RANK": r}, stdout=subprocess.DEVNULL)
        for r in "01"
    ]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    first, second = (json.loads((tmp_path / f"{r}.json").read_text()) for r in "01")
    for a, b in zip(first.values(), second.values(), strict=True):
        assert a["losses"] != b["losses"], "each process has batches of its own"
        means = (torch.tensor(a["losses"]) + torch.tensor(b["losses"])) / 2
        expected = by_hand(lambda o: GreedyLR(o, **LIVELY), means.tolist(), len(a["lrs"][0]))
        assert a["lrs"] == b["lrs"] == expected
        assert len({lr for lr, *_ in expected}) > 3


# Errors

MADE: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"schedule": "gredy"}, "AdaptiveLRCallback: unknown schedule 'gredy'; did you mean 'greedy'?"),
    "not adaptive": ({"schedule": "cosine"}, "schedule 'cosine' knows its LRs before the run; give Trainer"),
    "hypergradient": (
        {"schedule": "hypergradient"},
        "'hypergradient' decides each LR by the gradient, not by a metric",
    ),
    "line search": (
        {"schedule": "line-search"},
        "'line-search' decides each LR by the gradient, not by a metric alone",
    ),
    "on": ({"on": "step"}, "AdaptiveLRCallback: on: unknown value 'step'; choose from: evaluation, update"),
    "setting": ({"patient": 3}, "AdaptiveLRCallback: greedy: unknown setting 'patient'; did you mean 'patience'?"),
}


@pytest.mark.parametrize(("settings", "message"), MADE.values(), ids=MADE)
def test_what_cannot_be_meant_is_refused_at_once(settings: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        AdaptiveLRCallback(**settings)
    assert message in str(error.value)


BEGUN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "value": ({"patience": -1}, {}, "schedule family Greedy: patience: must be"),
    "warmup": ({}, {"warmup_steps": 3}, "TrainingArguments ask for 3 warmup steps, which this callback does not take"),
    "no evaluation": ({"on": "evaluation"}, {}, "on='evaluation' needs evaluations; set eval_strategy"),
}


@pytest.mark.parametrize(("settings", "arguments", "message"), BEGUN.values(), ids=BEGUN)
def test_what_contradicts_the_training_is_refused_before_it_begins(
    settings: Any, arguments: Any, message: str, tmp_path: Path
) -> None:
    trainer = trainer_of(tmp_path, AdaptiveLRCallback(**settings), **arguments)
    with pytest.raises(UsageError) as error:
        trainer.train()
    assert message in str(error.value)
    assert trainer.losses == []


@pytest.mark.parametrize("steps", [2, 30], ids=["at the last update", "after the first evaluation"])
def test_a_metric_that_is_not_there_is_refused(steps: int, tmp_path: Path) -> None:
    callback = AdaptiveLRCallback(on="evaluation", metric="accuracy")
    trainer = trainer_of(tmp_path, callback, **EVALUATED | {"max_steps": steps})
    with pytest.raises(
        UsageError, match=r"AdaptiveLRCallback: metric: unknown metric 'eval_accuracy'; choose from: .*eval_loss"
    ):
        trainer.train()
    assert len(trainer.losses) == 2


def test_two_callbacks_on_one_trainer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the Trainer has several, and only one can set the LR; keep one"):
        trainer_of(tmp_path, AdaptiveLRCallback(), AdaptiveLRCallback("plateau")).train()
