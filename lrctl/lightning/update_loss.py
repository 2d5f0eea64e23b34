"""The training loss of an update of a Lightning `Trainer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from lrctl.errors import UsageError

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


class UpdateLoss:
    """Adds up the training loss of an update from its micro-batches."""

    def __init__(self) -> None:
        self.parts: list[torch.Tensor] = []
        self.updates = 0

    def begin(self, trainer: Trainer, callback: str) -> None:
        """Begin with the updates that are done already.

        Raises:
            UsageError: the updates are not those of one optimizer, made by the Trainer.
        """
        self.parts, self.updates = [], trainer.global_step
        if len(trainer.optimizers) != 1 or not trainer.lightning_module.automatic_optimization:
            raise UsageError(
                f"{callback}: it wants one optimizer and automatic optimization, and the module has "
                f"{len(trainer.optimizers)}, automatic_optimization="
                f"{trainer.lightning_module.automatic_optimization}; use lrctl.program or AdaptiveLR in the module"
            )

    def take(self, trainer: Trainer, outputs: Any) -> torch.Tensor | None:
        """The loss of the update, the same in every process, if this micro-batch was its last."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, torch.Tensor):
            raise UsageError(
                f"training_step of {type(trainer.lightning_module).__name__} returned no loss at update "
                f"{trainer.global_step}; each is asked for"
            )
        # Lightning has divided it by the number of micro-batches that an update has.
        self.parts.append(loss.detach().float() * trainer.accumulate_grad_batches)
        if trainer.global_step == self.updates:
            return None
        parts, self.parts, self.updates = self.parts, [], trainer.global_step
        mean: torch.Tensor = trainer.strategy.reduce(torch.stack(parts).mean(), reduce_op="mean")
        return mean
