"""Averages of the weights along the run of a Lightning `Trainer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrctl.averaging import PowerEMA, check_powers
from lrctl.errors import UsageError
from lrctl.lightning.package import Callback

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class AveragingCallback(Callback):
    """Keeps power EMAs of a module's weights, the best of which is taken when it is over.

        averaging = AveragingCallback()
        trainer = Trainer(..., callbacks=[averaging])
        trainer.fit(module, train, validation)
        averaging.take_best(trainer, module, validation)  # the module has the best weights from here on
        trainer.save_checkpoint("best.ckpt", weights_only=True)

    Averages are updated after each optimizer update and are part of the Trainer's checkpoints, so that a resumed run
    goes on as if it had never stopped. Not for weights that are cut into shards. With batch normalisation, compute its
    statistics again after `take_best`.

    Args:
        powers: of the averages, see `lrctl.averaging.PowerEMA`.

    Attributes:
        averages: the `PowerEMA` at work, once training began.

    Raises:
        UsageError: no powers; in training: the checkpoint to go on from has no such averages.
    """

    def __init__(self, powers: Sequence[float] = (4.0, 8.0, 16.0)) -> None:
        check_powers(powers)
        self.powers = tuple(powers)
        self.averages: PowerEMA | None = None
        self.kept: dict[str, Any] = {}
        self.seen = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Forget a checkpoint that was validated; the Trainer loads that of the run to come after this."""
        self.kept = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, or go on: from the checkpoint that the Trainer resumes from, or where it is called once more."""
        before, self.averages, self.seen = self.averages, PowerEMA(pl_module, self.powers), trainer.global_step
        kept, self.kept = self.kept, {}
        if before and not kept and before.updates == self.seen:
            kept = before.state_dict()
        if not self.seen:
            return
        try:
            self.averages.load_state_dict(kept)
        except KeyError as error:
            raise UsageError(
                f"AveragingCallback: the checkpoint has no averages of these weights with powers {[*self.powers]}; "
                "give the powers that it was made with"
            ) from error

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Take the weights in after an update; with accumulated gradients not every batch has one."""
        assert self.averages
        if trainer.global_step > self.seen:
            self.averages.update()
        self.seen = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        """What the Trainer keeps in its checkpoints."""
        return self.averages.state_dict() if self.averages else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What it kept."""
        self.kept = state_dict

    def take_best(
        self,
        trainer: Trainer,
        module: LightningModule,
        dataloaders: Any = None,
        metric: str = "val_loss",
        *,
        greater_is_better: bool = False,
    ) -> float | None:
        """Validate the last weights and each average, and leave the best in the module.

        Returns its power; None: the last weights are the best. `metric` is what `validation_step` logs.

        Raises:
            UsageError: nothing was trained yet, or no such metric is logged.
        """
        if self.averages is None:
            raise UsageError("AveragingCallback: nothing was averaged yet; call it after trainer.fit()")

        def loss() -> float:
            found: dict[str, float] = {}
            for each in trainer.validate(module, dataloaders, verbose=False):  # of each loader
                found |= each
            if metric not in found:
                raise UsageError(
                    f"AveragingCallback: metric {metric!r}: a validation logs {', '.join(found) or 'none'}"
                )
            return -found[metric] if greater_is_better else found[metric]

        best = self.averages.best(loss)
        self.averages.take(best)
        return best
