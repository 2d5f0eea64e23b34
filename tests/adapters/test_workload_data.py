"""`lrctl.workload`: what becomes of data sets, on data that are quick to read."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from adapters.parts import Numbers, made, net, trained
from lrctl.contracts.workload import Carrying, Scored, Sized, WithOptimizer, Workload
from lrctl.testing import check_workload


def firsts(batches: Any) -> list[int]:
    return [int(item) for batch in batches for item in batch[:, 0]]


def test_a_workload_of_parts_keeps_the_contract() -> None:
    workload = made(train=Numbers(400, noise=1.0))
    assert isinstance(workload, Workload)
    assert isinstance(workload, Scored)
    assert not isinstance(workload, Carrying | WithOptimizer)
    check_workload(workload)


def test_an_epoch_has_every_item_once_and_another_seed_another_order() -> None:
    epoch = [made()(seed=seed) for seed in (0, 1)]
    orders = [firsts(workload.batch(step) for step in range(25)) for workload in epoch]
    assert [sorted(order) for order in orders] == [[*range(100)]] * 2
    assert orders[0] != orders[1]


def test_items_stay_in_order_where_they_are_not_shuffled() -> None:
    assert firsts(made(shuffle=False).batch(step) for step in (0, 24, 25)) == [0, 1, 2, 3, 96, 97, 98, 99, 0, 1, 2, 3]


def test_each_item_is_a_batch_where_there_is_no_batch_size() -> None:
    workload = made(batch_size=None, shuffle=False, train=[np.full((3, 2), float(i)) for i in range(9)])
    assert firsts(workload.batch(step) for step in range(2)) == [0, 0, 0, 1, 1, 1]
    assert isinstance(workload.batch(0), Tensor)


def test_transforms_draw_the_same_for_a_step_and_other_numbers_for_another() -> None:
    workload = made(train=Numbers(2, noise=1.0), batch_size=2)
    one, other = (workload.batch(step) for step in (3, 4))
    assert torch.equal(workload.batch(3), one)
    assert not torch.equal(one - one.round(), other - other.round())


class Restless(Numbers):
    """The same items, for which more random numbers are drawn."""

    def __getitem__(self, i: int) -> Tensor:
        torch.rand(3)
        return super().__getitem__(i)


def test_loading_draws_no_random_numbers_of_the_step() -> None:
    losses = [trained(made(train=data(100))).losses for data in (Numbers, Restless)]
    assert [*losses[0]] == [*losses[1]]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. .function _at_fork:pytest.PytestUnraisableExceptionWarning")
def test_processes_that_load_ahead_change_no_bit() -> None:
    here, ahead = (made(train=Numbers(100, noise=1.0), num_workers=workers) for workers in (0, 1))
    for _ in range(2):  # a second job begins anew
        assert [*trained(ahead, 6).losses] == [*trained(here, 6).losses]
    assert trained(ahead, 1, evaluate=("test",)).metrics == trained(here, 1, evaluate=("test",)).metrics
    assert ahead.sets.held_out["test"].ahead is not None


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_can_be_pickled_for_processes_that_are_not_forked(shuffle: bool) -> None:
    sets = made(shuffle=shuffle, aside=8).sets
    for each in (sets.train, sets.aside, sets.held_out["test"]):
        there = pickle.loads(pickle.dumps(each.batches))
        assert torch.equal(there[1], each.batches[1])


def test_one_held_out_set_is_cut_in_two_the_same_for_every_seed() -> None:
    halves = [
        {split: firsts(made()(seed=seed).batches(net(), split)) for split in ("validation", "test")} for seed in (0, 1)
    ]
    assert halves[0] == halves[1]
    assert sorted(halves[0]["validation"] + halves[0]["test"]) == [*range(1000, 1040)]
    assert min(map(len, halves[0].values())) == 20


def test_two_held_out_sets_are_taken_as_they_are_loaders_too() -> None:
    pair: Any = (Numbers(6, first=50), DataLoader(Numbers(5, first=60), batch_size=2))  # type: ignore[arg-type,unused-ignore]
    workload = made(held_out=pair)
    assert firsts(workload.batches(net(), "validation")) == [*range(50, 56)]
    for _ in range(2):
        assert firsts(workload.batches(net(), "test")) == [*range(60, 65)]


@pytest.mark.parametrize("held_out", [[1, 2, 3], ([1], [2, 3])], ids=["a list of three", "two lists"])
def test_a_list_is_one_data_set(held_out: Any) -> None:
    workload = made(held_out=held_out)
    assert sum(len(workload.sets.held_out[split].batches.rows(0)) for split in ("validation", "test")) == 3


def test_an_epoch_is_as_long_as_what_is_trained_on() -> None:
    workload = made(train=Numbers(100), aside=20, batch_size=32)
    assert isinstance(workload, Sized)
    assert workload.steps_per_epoch() == 80 / 32


@pytest.mark.parametrize(
    ("n", "aside", "batches"),
    [(319, None, 0), (320, None, 8), (400, None, 10), (10_000, None, 64), (400, 0, 0), (100, 9, 3)],
)
def test_training_items_are_kept_aside_for_scores_where_there_are_enough(n: int, aside: Any, batches: int) -> None:
    workload = made(train=Numbers(n), aside=aside)
    assert isinstance(workload, Scored) is bool(batches)
    if batches:
        kept = firsts(workload.score_batch(i) for i in range(batches))
        with pytest.raises(IndexError):
            workload.score_batch(batches)
        steps = -(-(n - len(kept)) // 4)
        assert not {*kept} & {*firsts(workload.batch(step) for step in range(steps))}


def test_scores_may_have_a_data_set_of_their_own() -> None:
    workload = made(aside=Numbers(5, first=500))
    assert firsts(workload.score_batch(i) for i in range(2)) == [*range(500, 505)]
