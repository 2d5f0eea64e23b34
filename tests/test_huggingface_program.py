"""A script with the Trainer of transformers does the jobs of lrctl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer
from transformers import EarlyStoppingCallback

from lrctl import program
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.huggingface import ProgramCallback, attach
from lrctl.registry.schedules import schedule_text
from programs import tell_job
from trainers import Recorder, quiet, trainer_of

STEPS = 10
FOUND = PiecewiseLinear(((0, 0.0), (4, 0.01), (STEPS, 0.0)))
LRS = [FOUND(step) for step in range(STEPS)]
ALL: dict[str, Any] = {"max_steps": STEPS, "seed": 3}


@pytest.fixture(autouse=True)
def quietly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("LRCTL_JOB", "LRCTL_SCHEDULE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    with quiet():
        yield


def script(*callbacks: Any, **settings: Any) -> Any:
    """The Trainer of a script, its callback attached; epochs have 8 updates."""
    torch.manual_seed(settings.get("seed", 3))
    settings = {"per_device_train_batch_size": 8, **ALL, **settings}
    trainer = trainer_of(Path("out"), *callbacks, **settings)
    attach(trainer, ProgramCallback(test_dataset=torch.utils.data.Subset(trainer.train_dataset, range(8, 16))))
    return trainer


def job(start: int, stop: int, resume: str | None = None, splits: Any = ("validation",), **settings: Any) -> Any:
    """Do a job in a folder of its own, and give the Trainer, the losses and the metrics."""
    folder = Path(f"{start}-{stop}-{len(os.listdir())}").absolute()
    folder.mkdir()
    told = {"steps": STEPS, "resume": resume, "evaluate": splits, **({"save": None} if start == stop else {})}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LRCTL_JOB", str(tell_job(folder, start, stop, lrs=LRS[start:stop], **told)))
        trainer = settings.pop("make", script)(**settings)
        with pytest.raises(SystemExit) as end:
            trainer.train(resume_from_checkpoint=True)
        assert end.value.code == 0
    losses = np.load(folder / "losses.npy").tolist()
    return trainer, losses, json.loads((folder / "result.json").read_text())["metrics"], str(folder / "save")


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gradient accumulation": {"gradient_accumulation_steps": 3},
    "bfloat16": {"bf16": True},
    "evaluations": {"eval_strategy": "steps", "eval_steps": 3},
    "evaluations of epochs": {"eval_strategy": "epoch", "max_grad_norm": 0.0},
    "another model": {"model": "plain module", "lr_scheduler_type": "cosine", "warmup_steps": 3},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_jobs_have_the_bits_of_a_whole_run_with_the_schedule(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, losses, _, saved = job(0, 3, **settings)
    epoch, more, _, saved = job(3, 8, saved, **settings)
    last, rest, metrics, _ = job(8, STEPS, saved, ("validation", "test"), **settings)
    assert os.listdir("out") == []

    Path("found.json").write_text(schedule_text(FOUND, STEPS))
    monkeypatch.setenv("LRCTL_SCHEDULE", "found.json")
    whole = script(logging_strategy="steps", logging_steps=1, save_strategy="no", **settings)
    whole.train()
    assert losses + more + rest == whole.losses
    assert [lr for lr, *_ in whole.lrs] == LRS
    assert [lr for each in (first, epoch, last) for lr, *_ in each.lrs] == LRS
    assert [entry["learning_rate"] for entry in whole.state.log_history if "loss" in entry] == LRS
    assert metrics["validation"]["loss"] == whole.evaluate()["eval_loss"]
    assert {*metrics["test"]} == {"loss"}
    assert metrics["test"] != metrics["validation"]


def test_an_epoch_in_updates_is_answered() -> None:
    *_, saved = job(0, 3)
    assert json.loads(Path(saved).with_name("result.json").read_text())["epoch"] == 8


def test_a_job_without_steps_measures_a_checkpoint() -> None:
    *_, metrics, saved = job(0, 3)
    assert job(3, 3, saved)[2] == metrics
    untrained = job(0, 0, splits=("validation", "test"))[2]
    assert untrained["validation"]["loss"] > metrics["validation"]["loss"]


def test_groups_keep_the_ratio_of_their_lrs() -> None:
    def make(**settings: Any) -> Any:
        trainer = script(model="plain module", **settings)
        weight, bias = trainer.model.parameters()
        groups = [{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.02}]
        trainer.optimizer = torch.optim.SGD(groups)
        return trainer

    *_, saved = job(0, 1, make=make)
    lrs = job(1, 5, saved, make=make)[0].lrs
    assert lrs == [[lr, pytest.approx(lr / 5)] for lr in LRS[1:5]]


def test_an_update_that_is_skipped_by_fp16_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    step, calls = AcceleratedOptimizer.step, []

    def some(self: Any, closure: Any = None) -> None:
        calls.append(self.param_groups[0]["lr"])
        self._is_overflow = len(calls) == 2
        if len(calls) != 2:
            step(self, closure)

    monkeypatch.setattr(AcceleratedOptimizer, "step", some)
    _, losses, *_ = job(0, 4)
    assert (calls, len(losses)) == (LRS[:4], 4)


def test_outside_of_lrctl_the_script_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = script(save_strategy="steps", save_steps=5)
    ours.train()
    torch.manual_seed(3)
    theirs = trainer_of(Path("theirs"), per_device_train_batch_size=8, **ALL)
    theirs.train()
    assert (ours.lrs, ours.losses) == (theirs.lrs, theirs.losses)
    assert sorted(os.listdir("out")) == ["checkpoint-10", "checkpoint-5"]
    Path("found.json").write_text(schedule_text(FOUND, STEPS + 1))
    monkeypatch.setenv("LRCTL_SCHEDULE", "found.json")
    with pytest.raises(UsageError, match="it is for 11 steps, and this run has 10"):
        script().train()


def test_a_job_leaves_out_early_stopping_and_checkpoints_of_the_scripts_own() -> None:
    often: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": 1, "save_steps": 1, "load_best_model_at_end": True}
    often |= {"metric_for_best_model": "loss", "greater_is_better": True, "save_strategy": "steps"}
    trainer, losses, *_ = job(0, 4, make=lambda: script(EarlyStoppingCallback(1), **often))
    assert len(losses) == 4
    assert os.listdir("out") == []
    assert os.listdir(trainer.args.output_dir) == []


def no_test_data() -> Any:
    trainer = trainer_of(Path("out"), **ALL)
    attach(trainer, ProgramCallback())
    return trainer


class Unnamed(Recorder):
    def evaluate(self, *arguments: Any, **others: Any) -> Any:
        return {"eval_x": super().evaluate(*arguments, **others)["eval_loss"]}


MISTAKES: dict[str, tuple[Any, str]] = {
    "not attached": (lambda: trainer_of(Path("out"), ProgramCallback(), **ALL), "give attach.trainer, ProgramCallback"),
    "seed": (lambda: script(seed=42), r"TrainingArguments.seed is 42, and the job's 3; give lrctl --seed 42, or set"),
    "data": (lambda: script(ignore_data_skip=True), "with ignore_data_skip=True a job begins with data that was seen"),
    "workers that outlive an epoch": (
        lambda: script(dataloader_num_workers=1, dataloader_persistent_workers=True),
        "with dataloader_persistent_workers=True random numbers .* are in no checkpoint; leave it out",
    ),
    "no test data": (no_test_data, r"wants the loss of validation and of test data; give Trainer\(eval_dataset=...\)"),
    "no loss": (lambda: script(kind=Unnamed), "validation data: unknown metric .eval_loss.; did you mean .eval_x"),
}


@pytest.mark.parametrize(("make", "error"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_done_is_refused(make: Any, error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LRCTL_JOB", str(tell_job(tmp_path, 0, 1, lrs=LRS[:1])))
    with pytest.raises(UsageError, match=error):
        make().train()


def test_the_seed_of_a_job_is_told_before_the_trainer_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert program.seed(42) == 42
    monkeypatch.setenv("LRCTL_JOB", str(tell_job(tmp_path, 0, 1)))
    assert program.seed(42) == 3


def in_one_of_several() -> None:
    """What each process does; the job is in the environment."""
    with quiet():
        try:
            trainer = script(gradient_accumulation_steps=2)
            trainer.train()
        finally:
            name = f"lrs-{os.environ['RANK']}-{os.environ['NAME']}.json"
            Path(name).write_text(json.dumps([trainer.lrs, trainer.losses]))


@pytest.mark.slow
def test_several_processes_have_the_bits_of_a_whole_run() -> None:
    code = "import test_huggingface_program as t; t.in_one_of_several()"
    Path("script.py").write_text(code)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}
    found: dict[str, Any] = {}
    for start, stop, resume in ((0, 3, None), (3, 6, "3"), (0, 6, None)):
        name = f"{stop}" if not start and stop == 3 else f"{start}-{stop}"
        folder = Path(name).absolute()
        folder.mkdir()
        told = tell_job(
            folder, start, stop, lrs=LRS[start:stop], steps=STEPS, resume=resume and str(Path("3/save").absolute())
        )
        subprocess.run(torchrun, env={**environment, "LRCTL_JOB": str(told), "NAME": name}, check=True, timeout=300)
        found[name] = np.load(folder / "losses.npy").tolist(), json.loads((folder / "result.json").read_text())
        ranks = [json.loads(Path(f"lrs-{rank}-{name}.json").read_text()) for rank in "01"]
        assert [[lr for lr, *_ in lrs] for lrs, _ in ranks] == [LRS[start:stop]] * 2
        assert found[name][0] == pytest.approx(np.mean([losses for _, losses in ranks], axis=0))
    assert found["3"][0] + found["3-6"][0] == found["0-6"][0]
    assert found["3-6"][1] == found["0-6"][1]
