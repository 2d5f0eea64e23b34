"""The training loss of an update of a `Trainer`, and the LR that it logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lrctl.errors import UsageError

if TYPE_CHECKING:
    from transformers import TrainingArguments

ATTACH = "use attach(trainer, AdaptiveLRCallback(...)), which takes the loss that the Trainer trains with"


def show_lr(scheduler: Any, lrs: list[Any]) -> None:
    """Have the Trainer log these LRs, which are not those of its own scheduler."""
    if hasattr(scheduler, "_last_lr"):
        scheduler._last_lr = lrs


class UpdateLoss:
    """Adds up the training loss of an update from its micro-batches.

    Attributes:
        parts: what each micro-batch gave.
        shares: whether the update's loss is the sum of the parts; else it is their mean.
        local: whether each process has divided by what all of them have: their losses are to be added up too.
    """

    def __init__(self) -> None:
        self.parts: list[torch.Tensor] = []
        self.shares = self.local = False
        self.handle: Any = None

    def watch(self, model: torch.nn.Module) -> None:
        """Take the loss that a model returns in training."""

        def hook(module: torch.nn.Module, _: Any, given: dict[str, Any], output: Any) -> None:
            loss = output.get("loss") if isinstance(output, Mapping) else output[0] if len(output) else None
            if module.training and torch.is_grad_enabled() and isinstance(loss, torch.Tensor) and loss.ndim == 0:
                # A copy, as the Trainer multiplies the loss in place where there are several processes.
                self.parts.append(loss.detach().clone())
                self.shares = self.local = given.get("num_items_in_batch") is not None

        self.handle = model.register_forward_hook(hook, with_kwargs=True)

    def add(self, loss: torch.Tensor) -> None:
        """Take what `training_step` returns: the micro-batch's share of the update's loss."""
        self.parts.append(loss.detach().clone())
        self.shares, self.local = True, False

    def release(self) -> None:
        """Forget everything, and leave the model."""
        if self.handle:
            self.handle.remove()
        self.parts, self.handle = [], None

    def take(self, args: TrainingArguments) -> torch.Tensor:
        """The loss of the update that is done: the same number in every process."""
        parts, self.parts = self.parts, []
        if not parts:
            raise UsageError(f"AdaptiveLRCallback: the model returns no loss in training; {ATTACH}")
        stacked = torch.stack(parts).float()
        loss = stacked.sum() if self.shares else stacked.mean()
        if args.world_size > 1:
            torch.distributed.all_reduce(loss)
            if not (self.local and args.average_tokens_across_devices):
                loss /= args.world_size
        return loss
