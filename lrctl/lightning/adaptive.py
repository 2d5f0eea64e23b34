"""An adaptive schedule in a Lightning `Trainer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrctl.contracts.canonical import listed
from lrctl.errors import UsageError
from lrctl.lightning.package import Callback
from lrctl.lightning.update_loss import UpdateLoss
from lrctl.lr_scheduler import AdaptiveLR, metric_family

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer


class AdaptiveLRCallback(Callback):
    """Lets a schedule that sees the run set the LR: `Trainer(..., callbacks=[AdaptiveLRCallback("greedy")])`.

    The LR starts at the optimizer's own and is the schedule's from then on; schedulers of `configure_optimizers` are
    not asked any more. The schedule sees the training loss of every update, over all its micro-batches and processes.
    Its state is part of the Trainer's checkpoints: a resumed run goes on as if it had never stopped. `scheduler` is the
    `AdaptiveLR` at work.

    Args:
        schedule: the name of an adaptive schedule of `lrctl list` that looks at a metric alone: greedy, plateau.
        settings: of the schedule, as `lrctl list` and `GreedyLR` tell.

    Raises:
        UsageError: the schedule is unknown or needs more than a metric; in training: the module has several optimizers
            or makes its own updates, `training_step` returns no loss, or the checkpoint is of other settings.
    """

    def __init__(self, schedule: str = "greedy", **settings: Any) -> None:
        metric_family(schedule, "AdaptiveLRCallback", "give ScheduleLR(optimizer, schedule) in configure_optimizers")
        self.schedule, self.settings = schedule, {name: listed(value) for name, value in settings.items()}
        self.scheduler: AdaptiveLR | None = None
        self.loss, self.kept = UpdateLoss(), dict[str, Any]()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Forget the checkpoint of an earlier run; the Trainer loads that of the run to come after this."""
        self.kept = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin, or go on from the checkpoint that the Trainer resumes from."""
        self.loss.begin(trainer, "AdaptiveLRCallback")
        self.scheduler = AdaptiveLR(trainer.optimizers[0], self.schedule, **self.settings)
        if self.kept:
            self.check(self.kept["args"])
            self.scheduler.load_state_dict(self.kept["scheduler"])

    def arguments(self) -> dict[str, Any]:
        """What it was made with."""
        return {"schedule": self.schedule, **self.settings}

    def check(self, given: dict[str, Any]) -> None:
        """Refuse a checkpoint of other settings."""
        if given != self.arguments():
            raise UsageError(
                f"AdaptiveLRCallback: the checkpoint was made with {given}, not with {self.arguments()}; give the "
                "same, or begin a new run from its weights"
            )

    def on_train_batch_start(self, *_: Any) -> None:
        """Set the LR of the update to come, after all that the module's own schedulers may have done."""
        assert self.scheduler
        self.scheduler.set()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002
        """Show the schedule the training loss of an update."""
        assert self.scheduler
        loss = self.loss.take(trainer, outputs)
        if loss is not None:
            self.scheduler.step(float(loss))
        self.scheduler.set()  # for what logs the LR at the start of a batch

    def state_dict(self) -> dict[str, Any]:
        """What the Trainer keeps in its checkpoints."""
        return {"args": self.arguments(), "scheduler": self.scheduler.state_dict()} if self.scheduler else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What it kept."""
        self.kept = state_dict
