"""The module that a training program of the user's own imports."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lrctl
from lrctl import program
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from program.told import Told, loss_of, lrs, sgd
from programs import command, write


def test_it_imports_neither_torch_nor_numpy_nor_typer() -> None:
    code = "import sys; from lrctl import program; print({'torch', 'numpy', 'typer', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_job_is_trained_and_answered(told: Told) -> None:
    files = told(2, 5)
    job, optimizer, steps = program.job(steps=99), sgd(lr=0.02), []
    job.resume(pytest.fail)
    for step in job:
        job.set_lr(optimizer, step)
        assert lrs(optimizer) == [0.5 * step, pytest.approx(0.1 * step)]
        optimizer.step()
        loss = torch.tensor(float(step), requires_grad=True)
        job.loss(loss)
        steps.append(step)
    job.save(lambda path: Path(path).write_text("weights"))
    assert job.evaluate(loss_of)["validation"]["loss"] == 0.5
    assert [step for step in range(10) if step in job] == steps
    assert (job.start, job.stop, job.steps, job.seed, steps) == (2, 5, 10, 3, [2, 3, 4])
    found = np.load(files["losses"])
    assert (found.dtype, found.tolist()) == (np.float32, [2.0, 3.0, 4.0])
    assert Path(files["save"]).read_text() == "weights"
    answer = {"format": "lrctl-answer/1", "metrics": {"validation": {"loss": 0.5, "other": None}}}
    assert json.loads(Path(files["result"]).read_text()) == answer


def test_a_job_without_steps_only_evaluates(told: Told) -> None:
    files = told(5, 5, save=None, evaluate=["validation", "test"], resume="before")
    job = program.job(steps=99)
    loaded: list[str] = []
    job.resume(loaded.append)
    assert [*job] == []
    job.save(pytest.fail)
    assert [*job.evaluate(loss_of)] == ["validation", "test"]
    assert loaded == ["before"]
    assert Path(files["result"]).exists()


@pytest.mark.parametrize("every", [False, True])
def test_the_first_of_several_processes_saves_and_answers(
    every: bool, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = told(0, 0)
    monkeypatch.setenv("RANK", "1")
    job = program.job(steps=99)
    job.save(lambda path: Path(path).write_text("mine"), every_process=every)
    job.evaluate(loss_of)
    assert Path(files["save"]).exists() == every
    assert not Path(files["result"]).exists()


def test_outside_of_lrctl_a_program_is_what_it_was() -> None:
    job, optimizer = program.job(steps=4, seed=7), sgd()
    job.resume(pytest.fail)
    for step in job:
        assert job.lr(step, 0.3) == 0.3
        job.set_lr(optimizer, step)
        assert lrs(optimizer) == [0.1, 0.1]
        job.loss(1.0)
    job.save(pytest.fail)
    assert [*job.evaluate(loss_of)] == ["validation", "test"]
    assert (job.seed, job.lrs) == (7, None)
    assert os.listdir() == []


def test_a_found_schedule_is_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("schedule.json").write_text(schedule_text(PiecewiseLinear(((0, 0.0), (4, 1.0))), 4))
    monkeypatch.setenv("LRCTL_SCHEDULE", "schedule.json")
    job = program.job(steps=4)
    assert [job.lr(step, 9.0) for step in job] == [0.0, 0.25, 0.5, 0.75]
    with pytest.raises(UsageError, match="it is for 4 steps, and this run has 5"):
        program.job(steps=5)
    Path("schedule.json").write_text(schedule_text(registry().get("schedule", "greedy").target(0.1), 4))
    with pytest.raises(UsageError, match="its LRs are decided during a run"):
        program.job(steps=4)


def test_the_ratio_of_param_groups_outlives_a_checkpoint_at_lr_0(told: Told) -> None:
    told(0, 1)
    job, optimizer = program.job(steps=9), sgd(lr=0.05)
    job.set_lr(optimizer, 0)
    assert lrs(optimizer) == [0.0, 0.0]
    told(1, 2, resume="before")
    job, again = program.job(steps=9), sgd(lr=0.05)
    job.resume(lambda _: again.load_state_dict(optimizer.state_dict()))
    job.set_lr(again, 1)
    assert lrs(again) == [0.5, 0.25]


def test_the_ratio_of_param_groups_shows_where_a_warmup_of_ones_own_has_left_0(told: Told) -> None:
    told(1, 4)
    job, optimizer, used = program.job(steps=9), sgd(), []
    for step in job:
        warm = 0.01 * (step - 1)
        for group, own in zip(optimizer.param_groups, (warm, warm / 2), strict=True):
            group["lr"] = own
        job.set_lr(optimizer, step)
        job.loss(1.0)
        used.append(lrs(optimizer))
    assert used == [[0.5, 0.5], [1.0, 0.5], [1.5, 0.75]]
    again = sgd()
    again.load_state_dict(optimizer.state_dict())
    told(4, 5)
    program.job(steps=9).set_lr(again, 4)
    assert lrs(again) == [2.0, 1.0]


def test_a_param_group_that_is_added_has_its_lr_too(told: Told) -> None:
    told(1, 3)
    job, optimizer = program.job(steps=9), sgd(lr=0.05)
    job.set_lr(optimizer, 1)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.02})
    job.set_lr(optimizer, 2)
    assert lrs(optimizer) == [1.0, 0.5, pytest.approx(0.2)]


def test_an_update_that_the_scaler_of_fp16_skips_counts_and_the_next_has_its_lr(told: Told) -> None:
    files = told(0, 3)
    job, weight = program.job(steps=9), torch.nn.Parameter(torch.ones(1))
    optimizer, scaler, used = torch.optim.SGD([weight], lr=0.1), torch.amp.GradScaler("cpu"), []
    optimizer.register_step_pre_hook(lambda *_: used.append(optimizer.param_groups[0]["lr"]))
    for step in job:
        job.set_lr(optimizer)
        loss = weight.sum() * (float("inf") if step == 1 else 1.0)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        job.loss(loss)
    job.save(lambda path: Path(path).write_text("weights"))
    job.evaluate(loss_of)
    assert used == [0.0, 1.0], "the update in the middle is skipped"
    assert np.load(files["losses"]).tolist() == [1.0, np.inf, 1.0]


# A script as people have them

LINE = re.compile(r"(.*?)  # \+(?: in place of `(.*)`| .*)?")


def without_lrctl(code: str) -> str:
    """A script without the lines that make it a program, and with those that they stand for."""
    marked = [LINE.fullmatch(line) for line in code.splitlines()]
    kept = [m[2] or "" if m else line for m, line in zip(marked, code.splitlines(), strict=True)]
    return "\n".join(kept) + "\nprint({split: estimate_loss(split) for split in ('validation', 'test')})\n"


def printed(path: Path, **variables: str) -> Any:
    """The metrics that a script prints."""
    done = subprocess.run(
        [sys.executable, str(path), "--max-iters", "12"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **variables},
    )
    return ast.literal_eval(done.stdout)


def test_a_script_trains_as_before_and_as_found(folder: Path) -> None:
    script = write(folder, "train.py")
    bare = folder / "bare.py"
    bare.write_text(without_lrctl(script.read_text()))
    assert "lrctl" not in bare.read_text().partition("print(")[0]
    assert sum(map(bool, map(LINE.fullmatch, script.read_text().splitlines()))) <= 10
    assert printed(bare) == printed(script)
    settings = {"segments": 1, "grid": [0.03, 0.01], "eps": 0.1, "reference": False}
    result = lrctl.search(
        "semilocal",
        "smoke",
        settings={
            "workload.name": "program",
            "workload.command": command(script),
            "training.steps": 12,
            **{f"strategy.semilocal.{name}": value for name, value in settings.items()},
        },
    )
    metrics = printed(script, LRCTL_SCHEDULE=result["files"]["schedule"])
    assert metrics["validation"]["loss"] == result["validation_loss"]
    assert metrics["test"]["loss"] == result["test_loss"]
    lrctl.unpack_checkpoint(result["files"]["checkpoint"], "found.pt")
    assert torch.load("found.pt", weights_only=True)["model"].keys()
