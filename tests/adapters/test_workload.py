"""`lrctl.workload`: what becomes of each part, on data that are quick to read."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import lrctl
from lrctl.checks import evaluation
from lrctl.checks.check import tried
from lrctl.checks.purity import digest_of
from lrctl.checks.rules import Subject
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import SGD
from lrctl.contracts.workload import Carrying, Scored, Sized, WithOptimizer, Workload
from lrctl.errors import UsageError
from lrctl.planning.profile import measure
from lrctl.testing import SPEC, Constant, check_workload
from lrctl.training.passes import Passes
from lrctl.training.trainer import Trained, train

PLAIN = replace(SPEC, optimizer=SGD())


class Numbers:
    """Items 0 to n - 1, each with noise from every source of random numbers that transforms use."""

    def __init__(self, n: int, noise: float = 0.0, first: int = 0) -> None:
        self.n, self.noise, self.first = n, noise, first

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> Tensor:
        drawn = random.random() + np.random.rand() + float(torch.rand(()))
        return torch.tensor([float(self.first + i), 1.0]) + self.noise * drawn


def square(model: Any, batch: Tensor) -> Tensor:
    found: Tensor = (model(batch * 0.1) - batch.sin()).square().mean()
    return found


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 2))


def made(**parts: Any) -> Any:
    given: dict[str, Any] = {
        "model": net,
        "train": Numbers(100),
        "held_out": Numbers(40, first=1000),
        "loss": square,
        "batch_size": 4,
    }
    return lrctl.workload(**(given | parts))


def trained(workload: Any, stop: int = 4, spec: Any = PLAIN, **more: Any) -> Trained:
    return train(workload, spec, SegmentJob(0, stop, Constant(0.01), **more))


def firsts(batches: Any) -> list[int]:
    return [int(item) for batch in batches for item in batch[:, 0]]


# Data


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


def test_loading_draws_no_random_numbers_of_the_step() -> None:
    losses = [trained(made(train=Numbers(100, noise=noise))).losses for noise in (0.0, 1e-30)]
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


# Functions


def test_a_model_that_is_given_is_copied_each_time() -> None:
    own = net()
    workload = made(model=own)
    before = digest_of(dict(own.state_dict()))
    trained(workload)
    assert digest_of(dict(own.state_dict())) == before
    assert workload.model() is not workload.model()


def pairs(n: int) -> TensorDataset:
    x = torch.arange(2.0 * n).reshape(n, 2).sin()
    return TensorDataset(x, x.flip(1))


class Returning(nn.Linear):
    """A model that returns its loss, as those of Hugging Face and nanoGPT do."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        logits = super().forward(x)
        return logits if y is None else (logits, nn.functional.mse_loss(logits, y))


@pytest.mark.parametrize(
    "loss",
    [
        nn.MSELoss(),
        nn.functional.mse_loss,
        partial(nn.functional.mse_loss, reduction="mean"),
        None,
        lambda model, batch: model(*batch),
        lambda model, batch: {"loss": nn.functional.mse_loss(model(batch[0]), batch[1])},
    ],
    ids=["module", "function", "partial", "the model's own", "a tuple", "a dict"],
)
def test_a_loss_is_what_it_plainly_is(loss: Any) -> None:
    workload = made(model=partial(Returning, 2, 2), train=pairs(40), held_out=pairs(40), loss=loss)
    found = trained(workload, 2, evaluate=("test",))
    model = Passes(workload, PLAIN).model
    x, y = workload.batch(0)
    assert float(found.losses[0]) == float(nn.functional.mse_loss(model(x), y).detach())
    assert found.metrics["test"]["loss"] > 0


def test_the_held_out_loss_is_the_mean_over_rows() -> None:
    workload = made(
        held_out=(Numbers(7), Numbers(7)), loss=lambda model, batch: batch[:, 0].mean() + 0 * model(batch).sum()
    )
    assert trained(workload, 0, evaluate=("test",)).metrics["test"]["loss"] == pytest.approx(3.0)


def test_a_loss_is_told_the_step_in_training_only() -> None:
    seen = []

    def loss(model: Any, batch: Tensor, step: int | None) -> Tensor:
        seen.append(step)
        return square(model, batch)

    trained(made(loss=loss, held_out=(Numbers(4), Numbers(4)), aside=4), 3, evaluate=("test",), score_batches=8)
    assert seen == [0, 1, 2, None, None]


def averaged(model: Any, step: int, state: dict[str, Any]) -> None:
    """An average of the weights, beside them."""
    for name, weight in model.state_dict().items():
        state[name] = state.get(name, weight).lerp(weight, 1 / (step + 2))


def distance(model: Any, batches: Any, state: dict[str, Any]) -> dict[str, float]:
    first, *_ = batches
    moved = sum(
        float((state[name] - weight).abs().sum()) for name, weight in model.state_dict().items() if name in state
    )
    return {"loss": float(square(model, first)), "moved": moved}


def test_what_follows_a_step_is_kept_in_checkpoints_and_may_be_evaluated() -> None:
    workload = made(after_step=averaged, evaluate=distance)
    check_workload(workload)
    found = trained(workload, 4, evaluate=("test",))
    assert found.metrics["test"]["moved"] > 0
    assert {*found.state["carried"]["state"]} == {*found.state["model"]}


def remembering(model: Any, batch: Tensor, state: dict[str, Any]) -> Tensor:
    """A hidden state with a row for each row of a batch."""
    hidden = 0.5 * state.get("hidden", torch.zeros(len(batch), 2)) + model(batch * 0.1)
    state["hidden"] = hidden.detach()
    found: Tensor = (hidden - batch.sin()).square().mean()
    return found


def test_a_state_of_each_row_goes_on_and_a_plan_can_be_made() -> None:
    workload = made(loss=remembering, held_out=(Numbers(8, first=2000), Numbers(4, first=3000)))
    check_workload(workload)
    planned = measure(workload, PLAIN, scored=True, splits=("validation", "test"))
    assert planned.seconds_per_evaluation is not None
    trained(workload, 2, evaluate=("test",))


def test_a_batch_whose_state_goes_on_is_not_cut_into_pieces() -> None:
    with pytest.raises(
        UsageError, match=r"loss: its state goes from batch to batch, .* set training.micro_batches to 1"
    ):
        trained(made(loss=remembering), 2, replace(PLAIN, micro_batches=2))
    assert len(trained(made(), 2, replace(PLAIN, micro_batches=2)).losses) == 2


def sgd(model: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([{"params": model[0].parameters(), "lr": 1.0}, {"params": model[2].parameters(), "lr": 0.5}])


@pytest.mark.parametrize("optimizer", [None, sgd], ids=["lrctl's", "one's own"])
def test_gradients_are_clipped_with_any_optimizer(optimizer: Any) -> None:
    spec = PLAIN if optimizer is None else replace(PLAIN, optimizer=None)
    steps = []
    for norm in (0.0, 1e-3):
        workload = made(optimizer=optimizer, clip_norm=norm)
        before = Passes(workload, spec).model.state_dict()
        after = trained(workload, 1, spec).state["model"]
        steps.append(float(torch.stack([(after[name] - before[name]).norm() for name in before]).norm()))
    assert steps[0] > 1e-3
    assert steps[1] <= 1.001e-5


def last_layer(model: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(model[2].parameters(), lr=1.0)


def test_gradients_of_parameters_that_the_optimizer_leaves_out_do_not_pile_up() -> None:
    """The norm that clips would grow with them, and a run that is cut would have other ones."""
    workload, spec = made(optimizer=last_layer, clip_norm=1e-3), replace(PLAIN, optimizer=None)
    whole = trained(workload, 8, spec)
    half = trained(workload, 4, spec)
    rest = train(workload, spec, SegmentJob(4, 8, Constant(0.01), "half"), half.state)
    assert [*half.losses, *rest.losses] == [*whole.losses]


def test_a_class_of_optimizers_is_made_for_all_parameters_and_no_norm_is_no_clipping() -> None:
    workload = made(optimizer=torch.optim.SGD, clip_norm=None)
    (group,) = workload.optimizer(model := net()).param_groups
    assert len(group["params"]) == len(list(model.parameters()))
    assert not hasattr(workload, "before_update")


def test_a_partial_of_a_class_of_optimizers_is_one_with_settings() -> None:
    optimizer = made(optimizer=partial(torch.optim.SGD, momentum=0.9)).optimizer(net())
    assert (type(optimizer), optimizer.defaults["momentum"]) == (torch.optim.SGD, 0.9)
    same = partial(sgd)
    assert made(optimizer=same).optimizer(net()).param_groups[1]["lr"] == 0.5


def test_the_groups_of_ones_own_optimizer_keep_their_ratio() -> None:
    optimizer = made(optimizer=sgd).optimizer(net())
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.5]


def test_groups_may_be_those_of_the_recipes_optimizer() -> None:
    workload = made(param_groups=lambda model: [{"params": model.parameters(), "lr_scale": 0.0}])
    model = trained(workload).state["model"]
    assert digest_of(dict(model)) == digest_of(dict(Passes(workload, PLAIN).model.state_dict()))


def test_the_same_with_other_settings() -> None:
    assert len(made()(seed=3, batch_size=7).batch(0)) == 7
    with pytest.raises(UsageError, match=r"lrctl.workload: unknown parameter 'batchsize'; did you mean 'batch_size'"):
        made()(batchsize=7)


# What is checked


def accuracy(model: Any, batches: Any) -> float:
    return float(torch.cat([model(batch).mean(1) for batch in batches]).mean()) + 100


def test_an_accuracy_that_is_taken_for_the_loss_is_told_of() -> None:
    subject = Subject(made(evaluate=accuracy), PLAIN)
    with pytest.warns(UserWarning, match="is taken for the loss; the mean of loss.* is .*; of an accuracy"):
        (found,) = tried(subject, [evaluation.A_LOSS])
    assert found.status == "could not be told"


def test_a_number_that_is_the_loss_is_not_told_of() -> None:
    def mean(model: Any, batches: Any) -> float:
        return float(torch.stack([square(model, batch) for batch in batches]).mean())

    (found,) = tried(Subject(made(evaluate=mean), PLAIN), [evaluation.A_LOSS])
    assert found.status == "holds"


# What is refused


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Any:
        return iter(torch.ones(100, 2))


def loader() -> DataLoader[Any]:
    return DataLoader(Numbers(8), batch_size=2)  # type: ignore[arg-type]


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "a loader": (lambda: {"train": loader()}, "train: a DataLoader does not tell where it is, .* train=loader.dataset"),
    "an iterable without a state": (
        lambda: {"train": Endless()},
        "train: a Endless has neither __len__ and __getitem__",
    ),
    "an iterator": (lambda: {"train": iter([1])}, "train: a list_iterator has neither"),
    "no data": (lambda: {"train": []}, "train: it has no items"),
    "one loader to cut in two": (lambda: {"held_out": loader()}, "held_out: must be a data set .* of a loader give"),
    "one item to cut in two": (lambda: {"held_out": [1]}, "held_out: it has 1 items, too few"),
    "a list of two data sets": (
        lambda: {"held_out": [Numbers(6), loader()]},
        r"held_out: a list of two may be .*; give a tuple \(validation, test\)",
    ),
    "a list of two items": (lambda: {"held_out": [1, 2]}, r"held_out: a list of two .* items \(\[one\], \[other\]\)"),
    "an optimizer": (lambda: {"optimizer": sgd(net())}, "optimizer: must be a function, got a SGD; give one: lambda"),
    "no function": (lambda: {"evaluate": 3}, "evaluate: must be a function, got a int"),
    "no model": (lambda: {"model": None}, "model: must be a function, got a NoneType"),
    "no batch": (lambda: {"batch_size": 0}, "batch_size: must be a whole number of at least 1, got 0"),
    "half a worker": (lambda: {"num_workers": 0.5}, "num_workers: must be a whole number of at least 0, got 0.5"),
    "a negative norm": (lambda: {"clip_norm": -1}, "clip_norm: must be a number of at least 0, got -1"),
    "a loss of other arguments": (
        lambda: {"loss": lambda _m, _x, _y: None},
        r"loss: it is called as loss\(model, batch\), and takes \(_m, _x, _y\)",
    ),
    "an evaluation without batches": (
        lambda: {"evaluate": lambda _model: 0.0},
        r"evaluate: it is called as evaluate\(model, batches\)",
    ),
    "training data held out": (
        lambda: dict.fromkeys(("train", "held_out"), Numbers(9)),
        "held_out: it is train itself",
    ),
    "training data validated on": (
        lambda: {"train": (same := Numbers(9)), "held_out": (same, Numbers(9))},
        "held_out: it is train itself",
    ),
    "a misspelt part": (lambda: {"batchsize": 4}, "batchsize: unknown argument; did you mean 'batch_size'"),
    "all aside": (lambda: {"aside": 100}, "aside: 100 of the 100 items of train leave none to train on"),
}


@pytest.mark.parametrize(("parts", "said"), REFUSED.values(), ids=REFUSED)
def test_a_part_that_cannot_be_used_is_told_at_once(parts: Callable[[], dict[str, Any]], said: str) -> None:
    with pytest.raises(UsageError, match=f"lrctl.workload: {said}"):
        made(**parts())


def test_a_criterion_wants_pairs() -> None:
    with pytest.raises(
        UsageError, match=r"loss: a criterion of torch's is for batches \(x, y\), and this one holds a Tensor"
    ):
        trained(made(loss=nn.MSELoss()))
