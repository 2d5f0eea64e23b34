"""A script with a `Trainer` as a program: lrctl tells it its job, and it answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from transformers import EarlyStoppingCallback, integrations
from transformers.trainer_callback import TrainerCallback
from transformers.trainer_utils import has_length

from lrctl import program
from lrctl.errors import UsageError, unknown
from lrctl.huggingface.update_loss import UpdateLoss, show_lr

if TYPE_CHECKING:
    from torch.utils.data import Dataset
    from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments

MEASURED = re.compile(r"runtime|.*_per_second|.*_time|.*_mem_.*|epoch")
"""Metrics that tell how long an evaluation took."""


class ProgramCallback(TrainerCallback):
    """Makes a script with a `Trainer` a program for `lrctl ... --program`: `attach(trainer, ProgramCallback(...))`.

    As a program, `trainer.train()` does the job that lrctl has started the script for, and ends the process: it trains
    the job's steps with the job's LRs, from the checkpoint of the job before, and answers with the training loss of
    each update, `trainer.evaluate()` and the metrics of the test data. What follows in the script is not run then. The
    script's own checkpoints, early stopping and reports to trackers are left out.

    Without lrctl the script trains as before, or with the schedule that `LRCTL_SCHEDULE` names. The LR of a param group
    is the schedule's times the group's scale: its `lr_scale`, else its own LR over the first group's.

    Args:
        test_dataset: what the test loss is of, which is only ever reported; `eval_dataset` of the Trainer is the
            validation data, by which a search may choose.

    Raises:
        UsageError: when it is attached: the Trainer cannot do the job; in training: `LRCTL_SCHEDULE` does not fit.
    """

    def __init__(self, *, test_dataset: Dataset[Any] | None = None) -> None:
        self.test_dataset, self.attached = test_dataset, False
        self.job: program.Job | None = None
        self.loss = UpdateLoss()

    def take_over(self, trainer: Trainer) -> bool:
        """Have the Trainer do the job that lrctl has started this process for, if there is one."""
        self.job = program.given_job()
        if self.job is None:
            return False
        check(trainer, self, self.job)
        prepare(trainer, self.job)
        doing = DoneByTrainer(trainer, self.job, self.test_dataset)
        trainer.train = doing.run
        return True

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Outside of a job, look for a schedule to train with."""
        if not self.attached:
            raise UsageError(
                "ProgramCallback: it is among the Trainer's callbacks; give attach(trainer, ProgramCallback(...)) "
                "after the Trainer is made"
            )
        if self.job is None or self.job.given is None:
            self.job = program.job(steps=state.max_steps, seed=args.seed)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **others: Any) -> None:  # noqa: ARG002
        """Set the LR of the update to come, after all that the Trainer's own schedule may have done."""
        assert self.job
        if self.job.lrs is not None:
            optimizer = others["optimizer"]
            self.job.set_lr(getattr(optimizer, "optimizer", optimizer), state.global_step)  # without its wrapper
            show_lr(others["lr_scheduler"], [group["lr"] for group in optimizer.param_groups])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> TrainerControl:
        """Tell the loss of an update, and stop after the last."""
        assert self.job
        if self.job.given:
            self.job.loss(self.loss.take(args))
            if has_length(others["train_dataloader"]) and state.epoch:
                self.job.epoch = state.global_step / state.epoch
            control.should_training_stop = state.global_step >= self.job.stop
            # At the end of an epoch the Trainer may evaluate first, which moves its random numbers on.
            control.should_save = control.should_training_stop and not float(state.epoch or 0).is_integer()
        return control

    def on_epoch_end(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> TrainerControl:
        """Save where a job ends with an epoch."""
        if self.job and self.job.given and float(state.epoch or 0).is_integer():
            control.should_save = state.global_step >= self.job.stop
        return control


class DoneByTrainer:
    """A job, and the Trainer that does it in place of its own training."""

    def __init__(self, trainer: Trainer, job: program.Job, test_dataset: Any) -> None:
        self.trainer, self.train, self.job, self.test_dataset = trainer, trainer.train, job, test_dataset

    def run(self, *_: Any, **__: Any) -> NoReturn:
        """Do the job and end the process; what the script asks to resume from is not the job's."""
        begun: list[str] = []
        self.job.resume(begun.append)
        if self.job.start < self.job.stop:
            self.train(resume_from_checkpoint=begun[0] if begun else None)
            self.trainer.accelerator.wait_for_everyone()  # each process writes a part of the checkpoint
            self.job.save(self.save)
        elif begun:
            self.trainer._load_from_checkpoint(begun[0])
        self.job.evaluate(self.metrics)
        raise SystemExit(0)

    def save(self, path: str) -> None:
        """Hand over the checkpoint that the Trainer has written."""
        shutil.move(Path(str(self.trainer.args.output_dir)) / f"checkpoint-{self.job.stop}", path)

    def metrics(self, split: str) -> dict[str, float]:
        """What the Trainer measures, without its clock."""
        data = {} if split == "validation" else {"eval_dataset": self.test_dataset}
        found = self.trainer.evaluate(**data, metric_key_prefix="eval")
        named = {name.removeprefix("eval_"): value for name, value in found.items()}
        if "loss" not in named:
            raise unknown("metric", "eval_loss", found, f"ProgramCallback: {split} data")
        return {name: value for name, value in named.items() if not MEASURED.fullmatch(name)}


def prepare(trainer: Trainer, job: program.Job) -> None:
    """Leave out what a job is not asked for: the script's checkpoints, early stopping, reports to trackers."""
    assert job.given
    args: Any = trainer.args
    trackers: Any = integrations
    for each in [EarlyStoppingCallback, *trackers.get_reporting_integration_callbacks(args.report_to)]:
        trainer.remove_callback(each)
    args.max_steps = job.steps
    args.output_dir = str(Path(job.given["result"]).with_name("trainer"))
    args.save_strategy = type(args.save_strategy)("no")
    args.load_best_model_at_end = args.save_only_model = args.push_to_hub = False


def check(trainer: Trainer, callback: ProgramCallback, job: program.Job) -> None:
    """Refuse a Trainer that cannot do the job."""
    args = trainer.args
    if args.seed != job.seed:
        raise UsageError(
            f"ProgramCallback: TrainingArguments.seed is {args.seed}, and the job's {job.seed}; give lrctl --seed "
            f"{args.seed}, or set args.seed = lrctl.program.seed(args.seed) before the model is made"
        )
    if args.ignore_data_skip:
        raise UsageError(
            "ProgramCallback: with ignore_data_skip=True a job begins with data that was seen already; leave it out"
        )
    if args.dataloader_persistent_workers:
        raise UsageError(
            "ProgramCallback: with dataloader_persistent_workers=True random numbers that workers carry from epoch to "
            "epoch are in no checkpoint; leave it out"
        )
    if trainer.eval_dataset is None or callback.test_dataset is None:
        raise UsageError(
            "ProgramCallback: a search wants the loss of validation and of test data; give Trainer(eval_dataset=...) "
            "and ProgramCallback(test_dataset=...)"
        )
