"""`job.keep` and `job.batches`: loops that go on where they were, with their loaders and random numbers."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, RandomSampler

from lrctl import program
from lrctl.errors import UsageError
from lrctl.program.random_numbers import random_state, restore_random
from lrctl.program.resumable import Resumable
from program.told import Told, loss_of, sgd

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


def batched(sampler: Any) -> Any:
    return DataLoader(NUMBERS, batch_sampler=BatchSampler(sampler, 2, drop_last=False))


SAMPLED: dict[str, Callable[[Any], Any]] = {
    "sampler": lambda sampler: DataLoader(NUMBERS, 2, sampler=sampler),
    "within a batch sampler": batched,
}
of_each_place = pytest.mark.parametrize("make", SAMPLED.values(), ids=SAMPLED)


def told_epochs(job: program.Job, *, kept: bool = True, make: Callable[[Any], Any] = SAMPLED["sampler"]) -> list[Any]:
    """A loop that tells a sampler each epoch: the batches of the job."""
    sampler: DistributedSampler[float] = DistributedSampler(NUMBERS, 1, 0)
    optimizer, run, seen = sgd(), {"epoch": 0}, list[Any]()
    loader = job.batches(make(sampler))
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


@of_each_place
@pytest.mark.parametrize("cut", [1, 3, 4, 6, 7])
def test_epochs_that_a_sampler_is_told_go_on_where_their_number_is_kept(
    cut: int, make: Callable[[Any], Any], told: Told
) -> None:
    told(0, 10)
    whole = told_epochs(program.job(steps=9), make=make)
    shutil.rmtree("save")
    told(0, cut)
    first = told_epochs(program.job(steps=9), make=make)
    Path("save").rename("before")
    told(cut, 10, resume="before")
    assert first + told_epochs(program.job(steps=9), make=make) == whole


@of_each_place
def test_an_epoch_that_begins_anew_with_each_job_is_refused(make: Callable[[Any], Any], told: Told) -> None:
    told(0, 6)
    told_epochs(program.job(steps=9), make=make)
    told(6, 10, resume="save")
    with pytest.raises(UsageError, match=r"sampler of DataLoader was in epoch 1 where this job begins, and is told 0;"):
        told_epochs(program.job(steps=9), kept=False, make=make)


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


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, current: int, local: str, kind: str = "cuda") -> list[Any]:
    """So many GPUs of a kind, and none of another, whose states are their numbers."""
    states: list[Any] = [f"of {number}" for number in range(count)]

    def set_state(state: Any, number: int) -> None:
        assert number < count, "torch has no such GPU"
        states[number] = state

    monkeypatch.setenv("LOCAL_RANK", local)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: kind == "cuda" and count > 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: kind == "mps" and count > 0)
    of_kind = torch.get_device_module(kind)
    monkeypatch.setattr(of_kind, "device_count", lambda: count)
    monkeypatch.setattr(of_kind, "get_rng_state", lambda number: states[number])
    monkeypatch.setattr(of_kind, "set_rng_state", set_state)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current)
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


@pytest.mark.parametrize(
    ("before", "now", "found"), [("mps", "mps", "of 0"), ("cuda", "mps", "now"), ("mps", "cuda", "now")]
)
def test_random_numbers_go_on_on_a_gpu_of_their_kind(
    before: str, now: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 1, 0, "", before)
    saved = random_state()
    states = gpus(monkeypatch, 1, 0, "", now)
    states[0] = "now"
    restore_random(saved)
    assert states == [found]


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


def test_a_checkpoint_of_ones_own_is_not_one_of_keep(told: Told) -> None:
    told(0, 2, resume="mine.pt")
    Path("mine.pt").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"mine.pt is no checkpoint of its own: .* use job.resume\(load\) and job.save"
    ):
        program.job(steps=9).keep(run={})


@pytest.mark.parametrize(("kind", "now"), [("meta", "meta"), ("cuda", "cpu"), ("mps", "cpu")])
def test_tensors_that_are_kept_come_back_to_the_kind_of_device_that_they_were_on(
    kind: str, now: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 0, 0, "")
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
