"""The module that a training program of the user's own imports."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, RandomSampler

import lrctl
from lrctl import program
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.errors import UsageError
from lrctl.program.random_numbers import random_state, restore_random
from lrctl.program.resumable import Resumable
from lrctl.registry.registry import registry
from lrctl.registry.schedules import schedule_text
from programs import command, tell_job, write

Told = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, in a process that lrctl has not started."""
    monkeypatch.chdir(tmp_path)
    for name in ("LRCTL_JOB", "LRCTL_SCHEDULE", "LRCTL_STORE", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Has lrctl tell this process a job."""

    def tell(start: int = 0, stop: int = 3, **changed: Any) -> dict[str, Any]:
        path = tell_job(folder, start, stop, **changed)
        monkeypatch.setenv("LRCTL_JOB", str(path))
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    return tell


def sgd(**settings: Any) -> torch.optim.Optimizer:
    one, other = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    return torch.optim.SGD([{"params": [one]}, {"params": [other], **settings}], lr=0.1)


def lrs(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def loss_of(split: str) -> dict[str, Any]:
    return {"loss": torch.tensor(0.5), "other": float("nan")} | ({"n": 1} if split == "test" else {})


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


# What is kept


NUMBERS: Any = [float(number) for number in range(8)]


class Augmented(Dataset[float]):
    """Draws from a generator of its own."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(NUMBERS)

    def __getitem__(self, index: int) -> float:
        return float(NUMBERS[index] + self.numbers.random())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batch_sampler() -> BatchSampler:
    return BatchSampler(RandomSampler(NUMBERS, generator=seeded()), 2, drop_last=False)


LOADERS: dict[str, Callable[[], DataLoader[Any]]] = {
    "torch's random numbers": lambda: DataLoader(NUMBERS, 2, shuffle=True),
    "the loader's generator": lambda: DataLoader(NUMBERS, 2, shuffle=True, generator=seeded()),
    "the sampler's": lambda: DataLoader(NUMBERS, 2, sampler=RandomSampler(NUMBERS, True, generator=seeded())),
    "the batch sampler's": lambda: DataLoader(NUMBERS, batch_sampler=batch_sampler()),
    "the data's, of numpy": lambda: DataLoader(Augmented(np.random.default_rng(0)), 2, shuffle=True),
    "the data's, of old numpy": lambda: DataLoader(Augmented(np.random.RandomState(0)), 2),
    "the data's, of Python": lambda: DataLoader(Augmented(random.Random(0)), 2),
}


def loop(job: program.Job, make: Callable[[], DataLoader[Any]], *, shuffled: int = 0) -> tuple[list[Any], list[Any]]:
    """A loop over epochs of a loader, with random numbers and a hidden state: its batches and its state."""
    torch.manual_seed(job.seed + shuffled)
    optimizer, run, seen = sgd(momentum=0.9), {"hidden": torch.zeros(1)}, list[Any]()
    loader = job.batches(make())
    job.keep(optimizer=optimizer, run=run)
    step = job.start
    for _ in range(9):
        for batch in loader:
            if step == job.stop:
                break
            job.set_lr(optimizer, step)
            loss = batch.sum() + torch.rand(()) + run["hidden"].sum()
            run["hidden"] = run["hidden"] + loss
            optimizer.step()
            job.loss(loss)
            seen.append([*batch.tolist(), loss.item()])
            step += 1
    job.evaluate(loss_of)
    return seen, run["hidden"].tolist()


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_loop_that_keeps_its_state_goes_on_where_it_was(make: Callable[[], DataLoader[Any]], told: Told) -> None:
    told(0, 10)
    whole, hidden = loop(program.job(steps=9), make)
    for cut in (1, 4, 6):
        first, _ = loop(program.job(steps=told(0, cut)["stop"]), make)
        Path("save").rename(f"at {cut}")
        told(cut, 10, resume=f"at {cut}")
        rest, end = loop(program.job(steps=9), make, shuffled=1)
        assert (first + rest, end) == (whole, hidden), f"cut at {cut}"
        shutil.rmtree("save")


def two_loaders(job: program.Job) -> list[float]:
    """A loop over two loaders at a time, which share a generator, and then over a third."""
    torch.manual_seed(job.seed)
    optimizer, mine = sgd(), seeded()
    noisy = [job.batches(DataLoader(Noisy(), 2, shuffle=True, generator=mine)) for _ in range(2)]
    later = job.batches(DataLoader(Noisy(), 2, shuffle=True))
    run = {"pairs": 0}
    job.keep(run=run)
    seen: list[float] = []
    while not job.done:
        for batches in zip(*noisy, strict=True) if run["pairs"] < 6 else zip(later):
            run["pairs"] += 1
            job.set_lr(optimizer)
            seen.append(float(sum(batch.sum() for batch in batches)))
            job.loss(seen[-1])
    job.evaluate(loss_of)
    return seen


class Noisy(Dataset[float]):
    """Draws from torch's random numbers."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> float:
        return index + torch.rand(()).item()


@pytest.mark.parametrize("cut", [1, 3, 4, 7], ids=lambda cut: f"at {cut}")
def test_several_loaders_go_on_where_they_were(cut: int, told: Told) -> None:
    told(0, 9)
    whole = two_loaders(program.job(steps=9))
    told(0, cut)
    first = two_loaders(program.job(steps=9))
    Path("save").rename("before")
    told(cut, 9, resume="before")
    assert first + two_loaders(program.job(steps=9)) == whole


def told_epochs(job: program.Job, *, kept: bool = True) -> list[Any]:
    """A loop that tells a sampler each epoch: the batches of the job."""
    sampler: DistributedSampler[float] = DistributedSampler(NUMBERS, 1, 0)
    optimizer, run, seen = sgd(), {"epoch": 0}, list[Any]()
    loader = job.batches(DataLoader(NUMBERS, 2, sampler=sampler))
    job.keep(run=run)
    for epoch in range(run["epoch"] if kept else 0, 9):
        run["epoch"] = epoch
        sampler.set_epoch(epoch)
        for batch in loader:
            job.set_lr(optimizer)
            job.loss(batch.sum())
            seen.append(batch.tolist())
        if job.done:
            break
    job.evaluate(loss_of)
    return seen


@pytest.mark.parametrize("cut", [1, 3, 4, 6, 7])
def test_epochs_that_a_sampler_is_told_go_on_where_their_number_is_kept(cut: int, told: Told) -> None:
    told(0, 10)
    whole = told_epochs(program.job(steps=9))
    shutil.rmtree("save")
    told(0, cut)
    first = told_epochs(program.job(steps=9))
    Path("save").rename("before")
    told(cut, 10, resume="before")
    assert first + told_epochs(program.job(steps=9)) == whole


def test_an_epoch_that_begins_anew_with_each_job_is_refused(told: Told) -> None:
    told(0, 6)
    told_epochs(program.job(steps=9))
    told(6, 10, resume="save")
    with pytest.raises(UsageError, match=r"sampler of DataLoader was in epoch 1 where this job begins, and is told 0;"):
        told_epochs(program.job(steps=9), kept=False)


def test_workers_that_outlive_an_epoch_are_refused(told: Told) -> None:
    told(0, 1)
    loader: DataLoader[Any] = DataLoader(NUMBERS, num_workers=1, persistent_workers=True)
    with pytest.raises(UsageError, match=r"DataLoader has persistent_workers=True, .* leave persistent_"):
        program.job(steps=9).batches(loader)


def test_a_generator_that_is_made_later_is_told(told: Told) -> None:
    told(0, 1)
    loader = Resumable(DataLoader(NUMBERS, 2, generator=seeded()))
    with pytest.raises(UsageError, match=r"state of generator of DataLoader, which has no such generator .* make it"):
        Resumable(DataLoader(NUMBERS, 2)).load_state_dict(loader.state_dict())


@pytest.mark.parametrize("cut", [3, 6, 9, 12])
def test_an_epoch_in_updates_is_answered(cut: int, told: Told) -> None:
    """Of 6 batches, two an update."""
    files = told(0, cut, save=None)
    job = program.job(steps=99)
    loader, optimizer = job.batches(DataLoader(NUMBERS[:6], 1)), sgd()
    while not job.done:
        for number, _ in enumerate(loader):
            if number % 2:
                job.set_lr(optimizer)
                job.loss(1.0)
    job.evaluate(loss_of)
    assert json.loads(Path(files["result"]).read_text())["epoch"] == 3


# GPUs


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, current: int, local: str) -> list[Any]:
    """So many GPUs, whose states are their numbers."""
    states: list[Any] = [f"of {number}" for number in range(count)]

    def restore_all(given: list[Any]) -> None:
        assert len(given) <= count, "torch has no such GPU"
        states[: len(given)] = given

    monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: list(states))
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restore_all)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, gpu: states.__setitem__(gpu, state))
    return states


GPUS: dict[str, tuple[tuple[int, int, str], tuple[int, int, str], list[str]]] = {
    "as before": ((2, 0, ""), (2, 0, ""), ["of 0", "of 1"]),
    "fewer": ((4, 0, ""), (2, 0, ""), ["of 0", "of 1"]),
    "none": ((4, 0, ""), (0, 0, ""), []),
    "none before": ((0, 0, ""), (2, 0, ""), ["now of 0", "now of 1"]),
    "another": ((4, 3, ""), (2, 1, ""), ["of 0", "of 3"]),
    "torchrun": ((4, 0, "3"), (4, 0, "3"), ["of 0", "of 1", "of 2", "of 3"]),
    "torchrun on another machine": ((2, 0, "1"), (4, 0, "3"), ["of 0", "of 1", "now of 2", "of 1"]),
    "torchrun with a GPU a process": ((1, 0, "3"), (1, 0, "2"), ["of 0"]),
}


@pytest.mark.parametrize(("before", "now", "found"), GPUS.values(), ids=GPUS)
def test_each_process_has_the_random_numbers_of_its_gpu(
    before: tuple[int, int, str], now: tuple[int, int, str], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, *before)
    saved = random_state()
    states = gpus(monkeypatch, *now)
    states[:] = [f"now {state}" for state in states]
    restore_random(saved)
    assert states == found


@pytest.mark.parametrize(("rank", "world"), [("2", ""), ("1", "4"), ("0", "1")], ids=["more", "of more", "fewer"])
def test_another_number_of_processes_is_refused(
    rank: str, world: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(0, 0)
    for each in ("1", "0"):
        monkeypatch.setenv("RANK", each)
        job = program.job(steps=9)
        job.keep(run={})
        job.evaluate(loss_of)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", world)
    told(0, 1, resume="save")
    with pytest.raises(UsageError, match=r"saved by 2 processes, .*; start as many as before"):
        program.job(steps=9).keep(run={})


def test_outside_of_lrctl_nothing_is_kept_and_the_loader_is_the_scripts() -> None:
    job, loader = program.job(steps=4), [1, 2]
    assert job.batches(loader) is loader
    job.keep(what=1)
    steps = 0
    while not job.done:  # as in a job
        job.loss(1.0)
        steps += 1
    assert steps == 4


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


def test_a_checkpoint_of_ones_own_is_not_one_of_keep(told: Told) -> None:
    told(0, 2, resume="mine.pt")
    Path("mine.pt").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"mine.pt is no checkpoint of its own: .* use job.resume\(load\) and job.save"
    ):
        program.job(steps=9).keep(run={})


@pytest.mark.parametrize(("kind", "now"), [("meta", "meta"), ("cuda", "cpu")], ids=["there", "gone"])
def test_tensors_that_are_kept_come_back_to_the_kind_of_device_that_they_were_on(
    kind: str, now: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("lrctl.program.kept.kind_of", lambda tensor: kind if tensor.numel() > 1 else "cpu")
    told(0, 0)
    job, run = program.job(steps=9), {"hidden": (torch.ones(2), [torch.ones(1)]), "step": 3}
    job.keep(run=run)
    job.evaluate(loss_of)
    told(0, 0, resume="save")
    found: dict[str, Any] = {}
    program.job(steps=9).keep(run=found)
    hidden, (other,) = found["hidden"]
    assert (hidden.device.type, other.device.type, found["step"]) == (now, "cpu", 3)


def test_what_cannot_be_kept_is_told(told: Told) -> None:
    told(0, 0)
    with pytest.raises(UsageError, match=r"job.keep\(number=...\): int has no state_dict and load_state_dict; give"):
        program.job(steps=9).keep(number=3)
    job = program.job(steps=9)
    job.keep(run={"what": object()})
    with pytest.raises(UsageError, match=r"call job.batches\(loader\) before job.keep"):
        job.batches([])
    with pytest.raises(UsageError, match=r"run.what is a object; only tensors.*use job.resume\(load\) and job"):
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
    settings = {"segments": 2, "grid_size": 1, "grid": [0.03], "eps": 0.1}
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
