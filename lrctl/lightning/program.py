"""A script with a Lightning `Trainer` as a program: lrctl tells it its job, and it answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from lrctl import program
from lrctl.errors import UsageError, unknown
from lrctl.lightning.package import Checkpoint, callbacks, no_logger
from lrctl.lightning.update_loss import UpdateLoss
from lrctl.program.resumable import Resumable, together

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class ProgramCallback(Checkpoint):
    """Makes a script with a `Trainer` a program for `lrctl ... --program`: `attach(trainer, ProgramCallback(...))`.

    As a program, `trainer.fit()` does the job that lrctl has started the script for, and ends the process: it trains
    the job's steps with the job's LRs, from the checkpoint of the job before, and answers with the training loss of
    each update and what `trainer.validate` and `trainer.test` measure. What follows in the script is not run then. The
    script's own checkpoints, early stopping, time limits and loggers are left out.

    Without lrctl the script trains as before, or with the schedule that `LRCTL_SCHEDULE` names. The LR of a param group
    is the schedule's times the group's scale: its `lr_scale`, else its own LR over the first group's.

    Args:
        validation: the metric of `validation_step` that is the loss, by which a search may choose.
        test: the metric of `test_step` that is the loss, which is only ever reported.
        test_dataloaders: for `trainer.test`, where neither the module nor its datamodule has them.

    Raises:
        UsageError: when it is attached, and in training: the Trainer cannot do the job, or `LRCTL_SCHEDULE` does not
            fit.
    """

    def __init__(
        self, *, validation: str = "val_loss", test: str = "test_loss", test_dataloaders: Any | None = None
    ) -> None:
        self.names = {"validation": validation, "test": test}
        self.test_dataloaders = test_dataloaders
        self.job: program.Job | None = None
        self.loss = UpdateLoss()
        self.positions: list[dict[str, Any]] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Note how far the data were read, before the Trainer makes its loaders."""
        self.positions = together(checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", []))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Outside of a job, look for a schedule to train with."""
        if self.job is None or self.job.given is None:
            steps = trainer.estimated_stepping_batches
            if steps == float("inf"):
                raise UsageError(
                    "ProgramCallback: LRCTL_SCHEDULE needs a run of known length; set Trainer(max_steps=...)"
                )
            self.job = program.job(steps=int(steps))
        if (batches := trainer.num_training_batches) < float("inf"):
            self.job.epoch = batches / trainer.accumulate_grad_batches
        self.loss.begin(trainer, "ProgramCallback")
        self.set(trainer)

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Set the LR of the update to come, after all that the module's own schedulers may have done."""
        self.set(trainer)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        """Tell the loss of an update, and stop after the last."""
        assert self.job
        loss = self.loss.take(trainer, outputs)
        if loss is not None:
            self.job.loss(loss)
        if trainer.global_step < self.job.stop:
            self.set(trainer)  # for what logs the LR at the start of a batch
        elif self.job.given:
            self.save(trainer)
            # Not `should_stop`, at which the Trainer validates once more.
            trainer.fit_loop.epoch_loop.max_steps = self.job.stop

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save anew: a validation moves the random numbers on."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save anew where a job ends with an epoch."""
        if trainer.is_last_batch:
            self.save(trainer)

    def set(self, trainer: Trainer) -> None:
        """Set the LR of the update to come."""
        assert self.job
        self.job.set_lr(trainer.optimizers[0], trainer.global_step)

    def save(self, trainer: Trainer) -> None:
        """Save what the next job goes on from, after the last update."""
        assert self.job
        if self.job.done:
            self.job.save(trainer.save_checkpoint, every_process=True)


def attach(trainer: Trainer, callback: ProgramCallback) -> None:
    """Add the callback to a Trainer, and have it do a job of lrctl in place of `trainer.fit`, if there is one.

    Raises:
        UsageError: the Trainer cannot do the job.
    """
    job = callback.job = program.given_job()
    if job:
        check_seed(job)
        prepare(trainer, job)
        keep_position(trainer, callback)
        trainer.fit = DoneByTrainer(trainer, callback, job).run  # type: ignore[method-assign]
    if job or os.environ.get("LRCTL_SCHEDULE"):
        trainer.callbacks.append(callback)  # type: ignore[attr-defined]


class DoneByTrainer:
    """A job, and the Trainer that does it in place of its own training."""

    def __init__(self, trainer: Trainer, callback: ProgramCallback, job: program.Job) -> None:
        self.trainer, self.fit, self.callback, self.job = trainer, trainer.fit, callback, job

    def run(
        self,
        model: LightningModule,
        train_dataloaders: Any = None,
        val_dataloaders: Any = None,
        datamodule: Any = None,
        *_: Any,
        **__: Any,
    ) -> NoReturn:
        """Do the job and end the process; what the script asks to resume from is not the job's."""
        if hasattr(train_dataloaders, "train_dataloader"):
            train_dataloaders, datamodule = None, train_dataloaders
        begun: list[str | None] = []
        self.job.resume(begun.append)
        (checkpoint,) = begun or [None]
        if self.job.start < self.job.stop:
            self.fit(model, train_dataloaders, val_dataloaders, datamodule, ckpt_path=checkpoint)
            checkpoint = None

        def metrics(split: str) -> dict[str, Any]:
            measure, given = self.trainer.validate, val_dataloaders
            if split == "test":
                measure, given = self.trainer.test, self.callback.test_dataloaders
            data = {"datamodule": datamodule} if given is None else {"dataloaders": given}
            found: dict[str, Any] = {}
            for each in measure(model, **data, ckpt_path=checkpoint, verbose=False):
                found |= each
            if (name := self.callback.names[split]) not in found:
                raise unknown("metric", name, found, f"ProgramCallback: {split}")
            return {"loss": found.pop(name), **found}

        self.job.answers = self.trainer.is_global_zero
        self.job.evaluate(metrics)
        raise SystemExit(0)


def prepare(trainer: Any, job: program.Job) -> None:
    """Leave out what a job is not asked for, and have the run as long as lrctl says."""
    trainer.fit_loop.max_epochs, trainer.fit_loop.min_epochs = -1, None
    trainer.fit_loop.epoch_loop.max_steps, trainer.fit_loop.epoch_loop.min_steps = job.steps, None
    left_out = (callbacks.Checkpoint, callbacks.EarlyStopping, callbacks.Timer)
    trainer.callbacks = [each for each in trainer.callbacks if not isinstance(each, left_out)]
    trainer.loggers = [no_logger()] if trainer.loggers else []


def keep_position(trainer: Any, callback: ProgramCallback) -> None:
    """Have the Trainer's training loaders go on where the job before has ended."""
    process = trainer.strategy.process_dataloader

    def ahead() -> int:
        """Batches that the Trainer holds already: of a stream, one, to know which is the last."""
        return len(getattr(trainer.fit_loop._data_fetcher, "batches", ()))

    def process_dataloader(loader: object) -> object:
        processed = process(loader)
        if not trainer.training:
            return processed
        resumable = Resumable(processed, ahead=ahead)
        if callback.positions:
            resumable.load_state_dict(callback.positions.pop(0))
        return resumable

    trainer.strategy.process_dataloader = process_dataloader


def check_seed(job: program.Job) -> None:
    """Refuse a seed of `seed_everything` that is not the job's."""
    seed = os.environ.get("PL_GLOBAL_SEED")
    if seed is not None and int(seed) != job.seed:
        raise UsageError(
            f"ProgramCallback: seed_everything was given {seed}, and the job's seed is {job.seed}; give lrctl --seed "
            f"{seed}, or call seed_everything(lrctl.program.seed({seed})) before the model is made"
        )
