"""Programs that do not do what they are told: each mistake is a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl import program
from lrctl.errors import UsageError
from program.told import Told, loss_of, sgd


def test_a_loop_without_lr_or_loss_is_told_which(told: Told) -> None:
    told(0, 2)
    job = program.job(steps=9)
    with pytest.raises(UsageError, match=r"0 of the 2 steps .* job.set_lr\(optimizer, step\) and job.loss\(loss\)"):
        job.evaluate(loss_of)
    for _ in range(2):
        job.loss(1.0)
    job.save(lambda path: Path(path).write_bytes(b""))
    with pytest.raises(UsageError, match=r"0 of the 2 steps had their LR; call job.set_lr\(optimizer, step\)"):
        job.evaluate(loss_of)


def no_lr(job: program.Job) -> None:
    for _ in job:
        job.loss(1.0)


def no_loss(job: program.Job) -> None:
    for step in job:
        job.lr(step)


def two_losses(job: program.Job) -> None:
    for step in job:
        job.lr(step)
        job.loss(1.0)
        job.loss(1.0)


def half_a_job(job: program.Job) -> None:
    job.evaluate(loss_of)


def another_step(job: program.Job) -> None:
    job.lr(7)


def other_lr(job: program.Job) -> None:
    optimizer = sgd()
    for step in job:
        job.set_lr(optimizer, step)
        optimizer.param_groups[0]["lr"] = 3.0
        optimizer.step()


def never_saved(job: program.Job) -> None:
    for step in job:
        job.lr(step)
        job.loss(1.0)
    job.evaluate(loss_of)


def one_lr(job: program.Job) -> None:
    job.set_lr(sgd())
    for _ in range(3):
        job.loss(1.0)
    job.save(lambda path: Path(path).write_bytes(b""))
    job.evaluate(loss_of)


def begun_anew(job: program.Job) -> None:
    while not job.done:
        job.set_lr(sgd())
        job.loss(1.0)
    job.evaluate(loss_of)


def group_too_late(job: program.Job) -> None:
    optimizer = sgd()
    job.set_lr(optimizer)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})
    optimizer.step()


MISTAKES: dict[str, tuple[Callable[[program.Job], None], dict[str, Any], str]] = {
    "no lr": (no_lr, {}, "step 0 was trained without its LR; call job.set_lr"),
    "no loss": (no_loss, {}, "0 losses were told in 1 steps; call job.loss"),
    "two losses": (two_losses, {}, "2 losses were told in 1 steps"),
    "half a job": (half_a_job, {}, "0 of the 3 steps of this job were trained"),
    "another step": (another_step, {}, "step 7 is not one of this job, which has 0 to 2"),
    "another lr": (other_lr, {}, "about to use LR 3.0 instead of 0.0; nothing but job.set_lr"),
    "not resumed": (no_lr, {"resume": "before"}, "a checkpoint to go on from; call job.resume"),
    "one lr for all": (one_lr, {}, "1 of the 3 steps had their LR; call job.set_lr"),
    "begun anew": (begun_anew, {"resume": "before"}, "a checkpoint to go on from; call job.resume"),
    "a group too late": (group_too_late, {}, "has 3 param groups, and had 2 when .* add groups before job.set_lr"),
    "not saved": (never_saved, {}, "a checkpoint is wanted; call job.save"),
}


@pytest.mark.parametrize(("train", "changed", "error"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told(train: Callable[[program.Job], None], changed: Any, error: str, told: Told) -> None:
    told(0, 3, **changed)
    with pytest.raises(UsageError, match=error):
        train(program.job(steps=9))


def test_another_format_is_refused(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told(format="lrctl-job/2")
    with pytest.raises(UsageError, match="its format is 'lrctl-job/2', this lrctl reads 'lrctl-job/1'"):
        program.job(steps=9)
    monkeypatch.setenv("LRCTL_JOB", "no.json")
    with pytest.raises(UsageError, match=r"LRCTL_JOB=no\.json: cannot be read"):
        program.job(steps=9)
