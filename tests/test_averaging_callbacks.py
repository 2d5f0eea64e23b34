"""Averages of the weights in a Trainer of transformers and in Lightning's: what they average, resume, and choose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("lightning.pytorch")

import lightning.pytorch as pl
from transformers.trainer_callback import TrainerCallback

from lrctl import huggingface, lightning
from lrctl.averaging import PowerEMA
from lrctl.errors import UsageError
from trainers import quiet, trainer_of

pytestmark = pytest.mark.filterwarnings("ignore")

Averages = dict[float, dict[str, torch.Tensor]]
POWERS = (1.0, 4.0)
SAVED: dict[str, Any] = {"save_strategy": "steps", "save_steps": 4, "max_steps": 12}


@pytest.fixture(autouse=True, scope="module")
def quietly() -> Iterator[None]:
    with quiet():
        yield


def by_hand(weights: list[dict[str, torch.Tensor]]) -> Averages:
    """The averages of the weights after each update, by the weights that the definition gives them, in float64."""
    found: Averages = {}
    for power in POWERS:
        averages = {name: tensor.double() for name, tensor in weights[0].items()}
        for t, now in enumerate(weights, 1):
            move = 1 - (1 - 1 / t) ** (power + 1)
            averages = {name: (1 - move) * averages[name] + move * now[name].double() for name in averages}
        found[power] = averages
    return found


def assert_near(averages: PowerEMA | None, expected: Averages) -> None:
    assert averages is not None
    for power, named in expected.items():
        for name, tensor in named.items():
            torch.testing.assert_close(averages.averages[power][name].double(), tensor, rtol=1e-5, atol=1e-7)


def copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


class Watch(TrainerCallback):
    """Keeps the weights after each update."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, *_: Any, **others: Any) -> None:
        self.weights.append(copied(others["model"]))


# transformers


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_trainer_averages_the_weights_after_each_update(accumulated: int, tmp_path: Path) -> None:
    averaging, watch = huggingface.AveragingCallback(POWERS), Watch()
    settings: dict[str, Any] = {"gradient_accumulation_steps": accumulated, "max_steps": 6, "learning_rate": 0.05}
    trainer_of(tmp_path, watch, averaging, **settings).train()
    assert len(watch.weights) == 6
    assert_near(averaging.averages, by_hand(watch.weights))


def test_a_resumed_trainer_has_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = huggingface.AveragingCallback(POWERS)
    trainer_of(tmp_path, whole, **SAVED).train()
    for folder, resume in ((tmp_path, None), (tmp_path / "elsewhere", tmp_path / "checkpoint-4")):
        again = huggingface.AveragingCallback(POWERS, resume=resume)
        trainer_of(folder, again, **SAVED).train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
        assert whole.averages
        assert again.averages
        assert again.averages.updates == whole.averages.updates == 12
        for power, named in whole.averages.averages.items():
            assert all(torch.equal(tensor, again.averages.averages[power][name]) for name, tensor in named.items())


@pytest.mark.parametrize("powers", [(2.0,), POWERS], ids=["other powers", "no averages"])
def test_a_checkpoint_without_these_averages_is_refused(powers: tuple[float, ...], tmp_path: Path) -> None:
    callbacks = [huggingface.AveragingCallback(POWERS)] if powers == (2.0,) else []
    trainer_of(tmp_path, *callbacks, **SAVED).train()
    with pytest.raises(UsageError, match=r"checkpoint-4 has no averages of these weights with powers \[.*resume="):
        trainer_of(tmp_path, huggingface.AveragingCallback(powers), **SAVED).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-4")
        )


@pytest.mark.parametrize("lr", [1e-4, 2.0], ids=["the last weights", "an average"])
def test_the_weights_that_evaluate_best_are_left_in_the_model(lr: float, tmp_path: Path) -> None:
    averaging = huggingface.AveragingCallback(POWERS)
    settings = {"learning_rate": lr, "lr_scheduler_type": "constant"}
    trainer = trainer_of(tmp_path, averaging, model="plain module", **settings)
    trainer.train()
    best = averaging.take_best(trainer)
    assert (best is None) == (lr == 1e-4)
    assert len(trainer.metrics) == 1 + len(POWERS)
    assert trainer.evaluate()["eval_loss"] == min(trainer.metrics)


def test_what_take_best_cannot_do_is_a_sentence(tmp_path: Path) -> None:
    averaging = huggingface.AveragingCallback(POWERS)
    trainer = trainer_of(tmp_path, averaging, max_steps=1)
    with pytest.raises(UsageError, match="nothing was averaged yet; call it after"):
        averaging.take_best(trainer)
    trainer.train()
    with pytest.raises(UsageError, match="metric 'eval_f1': an evaluation gives eval_loss"):
        averaging.take_best(trainer, "eval_f1")


# Lightning


class WatchLightning(pl.Callback):
    """Keeps the weights after each update."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.seen = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if trainer.global_step > self.seen:
            self.weights.append(copied(pl_module))
        self.seen = trainer.global_step


class Net(pl.LightningModule):
    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr, self.layer = lr, torch.nn.Linear(2, 1)

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def loader(rows: int = 48) -> Any:
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(rows))
    y = x.sum(1, keepdim=True) + torch.randn(rows, 1, generator=torch.Generator().manual_seed(1))
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 4)


def fitted(folder: Path, *callbacks: Any, lr: float = 0.1, resume: str | None = None, **settings: Any) -> Any:
    pl.seed_everything(3, verbose=False)
    common: dict[str, Any] = {"accelerator": "cpu", "logger": False, "max_steps": 12, "default_root_dir": folder}
    common |= {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer, module = pl.Trainer(callbacks=[*callbacks], **common | settings), Net(lr)
    trainer.fit(module, loader(), ckpt_path=resume)
    return trainer, module


@pytest.mark.parametrize("accumulated", [1, 3])
def test_lightning_averages_the_weights_after_each_update(accumulated: int, tmp_path: Path) -> None:
    averaging, watch = lightning.AveragingCallback(POWERS), WatchLightning()
    fitted(tmp_path, watch, averaging, accumulate_grad_batches=accumulated)
    assert len(watch.weights) == 12
    assert_near(averaging.averages, by_hand(watch.weights))


def test_a_resumed_run_of_lightning_has_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, second = (lightning.AveragingCallback(POWERS) for _ in range(2))
    keep = pl.callbacks.ModelCheckpoint(str(tmp_path), "{step}", every_n_train_steps=12, save_top_k=-1)
    fitted(tmp_path, whole, keep, max_steps=24, enable_checkpointing=True)
    path = str(tmp_path / "step=12.ckpt")
    fitted(tmp_path, second, resume=path, max_steps=24)
    assert whole.averages
    assert second.averages
    assert second.averages.updates == 24
    for power, named in whole.averages.averages.items():
        assert all(torch.equal(tensor, second.averages.averages[power][name]) for name, tensor in named.items())
    with pytest.raises(UsageError, match=r"no averages of these weights with powers \[2.0\]"):
        fitted(tmp_path, lightning.AveragingCallback((2.0,)), resume=path, max_steps=24)


@pytest.mark.parametrize("lr", [1e-4, 0.9], ids=["the last weights", "an average"])
def test_the_weights_that_validate_best_are_left_in_the_module(lr: float, tmp_path: Path) -> None:
    averaging, data = lightning.AveragingCallback(POWERS), loader(400)
    trainer, module = fitted(tmp_path, averaging, lr=lr)

    def loss() -> float:
        return float(trainer.validate(module, data, verbose=False)[0]["val_loss"])

    assert averaging.averages
    losses = []
    for power in (None, *POWERS):
        with averaging.averages.weights(power):
            losses.append(loss())
    best = averaging.take_best(trainer, module, data)
    assert (best is None) == (lr == 1e-4)
    assert loss() == min(losses)
    with pytest.raises(UsageError, match="metric 'f1': a validation logs val_loss"):
        averaging.take_best(trainer, module, data, "f1")


def test_a_checkpoint_of_lightning_without_averages_is_refused(tmp_path: Path) -> None:
    trainer, _ = fitted(tmp_path)
    trainer.save_checkpoint(tmp_path / "plain.ckpt")
    with pytest.raises(UsageError, match="the checkpoint has no averages of these weights"):
        fitted(tmp_path, lightning.AveragingCallback(POWERS), resume=str(tmp_path / "plain.ckpt"), max_steps=24)


def test_averages_go_on_where_the_same_trainer_of_lightning_does(tmp_path: Path) -> None:
    averaging = lightning.AveragingCallback(POWERS)
    trainer, module = fitted(tmp_path, averaging)
    assert averaging.averages
    averaging.load_state_dict({**averaging.averages.state_dict(), "updates": 4})  # as a validated checkpoint does
    trainer.fit_loop.epoch_loop.max_steps = 24
    trainer.fit(module, loader())
    assert averaging.averages.updates == 24


def test_one_of_several_validation_sets_may_choose(tmp_path: Path) -> None:
    averaging = lightning.AveragingCallback(POWERS)
    trainer, module = fitted(tmp_path, averaging, lr=1e-4)
    sets = [loader(400), loader(40)]
    assert averaging.take_best(trainer, module, sets, "val_loss/dataloader_idx_0") is None
