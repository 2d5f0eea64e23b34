"""Averages of the weights along the run of a `Trainer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import TrainerCallback

from lrctl.averaging import PowerEMA, check_powers
from lrctl.errors import CheckpointError, UsageError
from lrctl.storage import checkpoint

if TYPE_CHECKING:
    from transformers import Trainer, TrainerState, TrainingArguments

FILE = "lrctl_averages.safetensors"
"""Beside the model in each checkpoint of the Trainer."""


class AveragingCallback(TrainerCallback):
    """Keeps power EMAs of a Trainer's weights, the best of which is taken when it is over.

        averaging = AveragingCallback()
        trainer = Trainer(..., callbacks=[averaging])
        trainer.train()
        averaging.take_best(trainer)  # the model has the best weights from here on
        trainer.save_model("best")

    Averages are updated after each optimizer update, but for those that were skipped because gradients overflowed, and
    lie in the Trainer's checkpoints, so that a resumed run goes on as if it had never stopped. Not for weights that are
    cut into shards (FSDP, DeepSpeed ZeRO 3). With batch normalisation, compute its statistics again after `take_best`.

    Args:
        powers: of the averages, see `lrctl.averaging.PowerEMA`.
        resume: the checkpoint that `trainer.train(resume_from_checkpoint=...)` goes on from, where it is not one of the
            Trainer's own `output_dir`.

    Attributes:
        averages: the `PowerEMA` at work, once training began.

    Raises:
        UsageError: no powers; in training: the checkpoint to go on from has no such averages.
    """

    def __init__(self, powers: Sequence[float] = (4.0, 8.0, 16.0), *, resume: str | Path | None = None) -> None:
        check_powers(powers)
        self.powers, self.resume = tuple(powers), resume
        self.averages: PowerEMA | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **others: Any) -> None:
        """Begin, or go on from the checkpoint that the Trainer resumes from."""
        self.averages = PowerEMA(others["model"], self.powers)
        if state.global_step:
            folder = Path(self.resume or place(args, state))
            try:
                self.averages.load_state_dict(checkpoint.load(folder / FILE))
            except (CheckpointError, KeyError) as error:
                raise UsageError(
                    f"AveragingCallback: {folder} has no averages of these weights with powers {[*self.powers]}; tell "
                    "the checkpoint by resume=..., or begin anew"
                ) from error

    def on_step_end(self, *_: Any, **others: Any) -> None:
        """Take the weights in after an update."""
        assert self.averages
        if not getattr(others.get("optimizer"), "step_was_skipped", False):
            self.averages.update()

    def on_save(self, args: TrainingArguments, state: TrainerState, *_: Any, **others: Any) -> None:  # noqa: ARG002
        """Keep the averages beside the model that the Trainer has saved."""
        if state.is_world_process_zero and self.averages:
            checkpoint.save(place(args, state) / FILE, self.averages.state_dict())

    def take_best(
        self, trainer: Trainer, metric: str = "eval_loss", *, greater_is_better: bool = False
    ) -> float | None:
        """Evaluate the last weights and each average, and leave the best in the model.

        Returns its power; None: the last weights are the best.

        Raises:
            UsageError: nothing was trained yet, or evaluations have no such metric.
        """
        if self.averages is None:
            raise UsageError("AveragingCallback: nothing was averaged yet; call it after trainer.train()")

        def loss() -> float:
            found = trainer.evaluate()
            if metric not in found:
                raise UsageError(f"AveragingCallback: metric {metric!r}: an evaluation gives {', '.join(found)}")
            value = float(found[metric])
            return -value if greater_is_better else value

        best = self.averages.best(loss)
        self.averages.take(best)
        return best


def place(args: TrainingArguments, state: TrainerState) -> Path:
    """The folder of the Trainer's checkpoint after the last update."""
    return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
