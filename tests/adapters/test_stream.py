"""Data that go on: their place is part of every checkpoint, and a run that is cut anywhere is the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

import lrctl
from lrctl.checks.purity import digest_of
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD
from lrctl.errors import UsageError
from lrctl.storage import checkpoint
from lrctl.testing import SPEC, Constant, check_workload
from lrctl.training.passes import Passes
from lrctl.training.trainer import Trained, train

PLAIN = replace(SPEC, optimizer=SGD())
STEPS = 8


def noisy(item: Tensor) -> Tensor:
    return item.sin() + 0.1 * torch.randn(2)


class Noisy:
    """A data set with a transform that draws random numbers."""

    def __len__(self) -> int:
        return 15

    def __getitem__(self, i: int) -> Tensor:
        return noisy(torch.tensor([float(i), float(i % 4)]))


class Shards(IterableDataset[Tensor]):
    """Items of three files, one file after the other; each epoch draws an order of files."""

    order: list[int]

    def __init__(self, per_file: int = 5) -> None:
        self.per_file, self.order, self.at = per_file, [], 0

    def __iter__(self) -> Iterator[Tensor]:
        if not self.order:
            self.order = torch.randperm(3).tolist()
        while self.at < 3 * self.per_file:
            file, row = self.order[self.at // self.per_file], self.at % self.per_file
            self.at += 1
            yield noisy(torch.tensor([float(file), float(row)]))
        self.order, self.at = [], 0

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order, "at": self.at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order, self.at = state["order"], state["at"]


class Batched:
    """A loader of one's own, which gives batches."""

    batch_size = 4

    def __init__(self) -> None:
        self.shards = Shards()

    def __iter__(self) -> Iterator[Tensor]:
        for item in self.shards:
            yield item + torch.zeros(self.batch_size, 1)

    def state_dict(self) -> dict[str, Any]:
        return self.shards.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shards.load_state_dict(state)


class Empty(Shards):
    def __iter__(self) -> Iterator[Tensor]:
        return iter(())


def torchdata(workers: int = 0) -> Any:
    data = pytest.importorskip("torchdata.stateful_dataloader")
    return data.StatefulDataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=workers)


STREAMS: dict[str, Any] = {"an iterable data set": Shards, "a loader": Batched, "torchdata": torchdata}


def square(model: Any, batch: Tensor) -> Tensor:
    found: Tensor = (model(batch) - batch.flip(1)).square().mean()
    return found


def made(train: Any) -> Any:
    held_out = torch.arange(40.0).reshape(20, 2).cos()
    return lrctl.workload(model=lambda: nn.Linear(2, 2), train=train, held_out=held_out, loss=square, batch_size=4)


def trained(workload: Any, start: int, stop: int, state: Any = None) -> Trained:
    return train(workload, PLAIN, SegmentJob(start, stop, Constant(0.1)), state)


pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_run_that_is_cut_anywhere_is_the_whole_run(stream: Any) -> None:
    workload = made(stream)
    whole = trained(workload, 0, STEPS)
    assert len({*whole.losses}) == STEPS
    for cut in range(STEPS):
        first = trained(workload, 0, cut)
        state = checkpoint.round_trip(first.state)
        second = trained(workload, cut, STEPS, state)
        assert [*first.losses, *second.losses] == [*whole.losses], cut
    assert [*trained(made(stream), 0, STEPS).losses] == [*whole.losses]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_another_seed_has_another_order(stream: Any) -> None:
    workload = made(stream)
    orders = []
    for seed in (0, 1, 0):
        passes = Passes(workload(seed=seed), replace(PLAIN, seed=seed))
        orders.append([digest_of(passes.batch(step)) for step in range(STEPS)])
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_keeps_the_contract(stream: Any) -> None:
    check_workload(made(stream))


def test_a_stream_that_gives_nothing_is_an_error() -> None:
    with pytest.raises(UsageError, match="train: the Empty gave nothing in a whole epoch"):
        trained(made(Empty), 0, 1)


def test_what_is_made_must_have_a_state() -> None:
    with pytest.raises(UsageError, match="train: a list has neither"):
        trained(made(lambda: [1.0]), 0, 1)


def test_a_stream_itself_is_refused_and_a_function_that_makes_it_asked_for() -> None:
    with pytest.raises(UsageError, match=r"train: a Shards goes on from where it is, .* give a function that makes it"):
        made(Shards())
