"""`lrctl.workload`: what becomes of a model, a loss, an optimizer and an evaluation."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from adapters.parts import PLAIN, Numbers, made, net, sgd, square, trained
from lrctl.checks.purity import digest_of
from lrctl.contracts.job import SegmentJob
from lrctl.errors import UsageError
from lrctl.planning.profile import measure
from lrctl.testing import Constant, check_workload
from lrctl.training.passes import Passes
from lrctl.training.trainer import train


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
