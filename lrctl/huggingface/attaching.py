"""Callbacks that need more of a `Trainer` than it shows its callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrctl.huggingface.adaptive import AdaptiveLRCallback
from lrctl.huggingface.program import ProgramCallback

if TYPE_CHECKING:
    import torch
    from transformers import Trainer


def attach(trainer: Trainer, callback: AdaptiveLRCallback | ProgramCallback) -> None:
    """Add the callback to a Trainer, and let it take the training loss from the Trainer's `training_step`.

    An `AdaptiveLRCallback` needs this for a Trainer whose loss is not the one that the model returns: with label
    smoothing, `compute_loss_func`, or a `compute_loss` of its own. It works with any other too, and logs nothing more
    than it would without. A `ProgramCallback` always needs it, as it does a job of lrctl in place of `trainer.train`.

    >>> attach(trainer, AdaptiveLRCallback(patience=20))  # doctest: +SKIP
    >>> trainer.train()  # doctest: +SKIP
    """
    callback.attached = True
    trainer.add_callback(callback)
    if isinstance(callback, ProgramCallback) and not callback.take_over(trainer):
        return
    original = trainer.training_step

    def training_step(*args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = original(*args, **kwargs)
        # When it resumes, the Trainer may have put another callback in the place of the first.
        for each in trainer.callback_handler.callbacks:
            if isinstance(each, AdaptiveLRCallback | ProgramCallback):
                each.loss.add(loss)
        return loss

    trainer.training_step = training_step
