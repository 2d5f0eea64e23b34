"""An adaptive schedule in a `Trainer`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from transformers.trainer_callback import ExportableState, TrainerCallback

from lrctl.contracts.canonical import listed
from lrctl.contracts.schedule import params_of
from lrctl.errors import UsageError, unknown
from lrctl.huggingface.update_loss import ATTACH, UpdateLoss, show_lr
from lrctl.lr_scheduler import AdaptiveLR, first_lrs, metric_family
from lrctl.registry.schedules import build_schedule

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

On = Literal["update", "evaluation"]


class AdaptiveLRCallback(TrainerCallback, ExportableState):
    """Lets a schedule that sees the run set the LR of a `Trainer`: `Trainer(..., callbacks=[AdaptiveLRCallback()])`.

    The LR starts at `TrainingArguments.learning_rate` and is the schedule's from then on; `lr_scheduler_type` is not
    asked any more. `Trainer` logs this LR, and keeps the schedule's state in its checkpoints (`trainer_state.json`):
    a resumed run goes on as if it had never stopped. `scheduler` is the `AdaptiveLR` at work.

    The schedule sees the training loss after every optimizer update, as the authors of GreedyLR do it (`Trainer` steps
    its own `greedy` at evaluations only), or one metric of each evaluation. The training loss is that of the whole
    update, over all its micro-batches and processes. A model that returns its own loss is enough for that. Where
    something else is trained with (label smoothing, a `compute_loss` of your own), this is noticed and refused, and
    `attach` is the way; to notice it, the first update is logged too. An update that was skipped because its gradients
    overflowed is not shown to the schedule.

    Args:
        schedule: the name of an adaptive schedule of `lrctl list` that looks at a metric alone: greedy, plateau.
        on: `update`: every optimizer update's training loss. `evaluation`: every evaluation's metric.
        metric: for `evaluation`, its name, with or without `eval_`; one that shall rise wants `mode="max"`.
        settings: of the schedule, as `lrctl list` and `GreedyLR` tell; `initial_lr` is the Trainer's if not given.

    Raises:
        UsageError: the schedule or a setting is unknown, or the schedule needs more than a metric; in training: what
            `TrainingArguments` or a checkpoint says contradicts this callback, or the loss cannot be told.
    """

    def __init__(
        self, schedule: str = "greedy", *, on: On = "update", metric: str = "eval_loss", **settings: Any
    ) -> None:
        self.family = metric_family(
            schedule, "AdaptiveLRCallback", "give Trainer(optimizers=(optimizer, ScheduleLR(optimizer, schedule)))"
        )
        if on not in get_args(On):
            raise unknown("value", on, get_args(On), "AdaptiveLRCallback: on")
        for name in settings.keys() - (known := {f.name for f in fields(self.family)}):
            raise unknown("setting", name, known, f"AdaptiveLRCallback: {schedule}")
        self.schedule, self.on, self.settings = schedule, on, {name: listed(v) for name, v in settings.items()}
        self.metric = metric if metric.startswith("eval_") else f"eval_{metric}"
        self.scheduler: AdaptiveLR | None = None
        self.attached = False
        self.loss = UpdateLoss()
        self.rest()

    def rest(self) -> None:
        """Be as before the training: nothing seen, no hook on the model."""
        self.loss.release()
        self.unlogged, self.updates = 0.0, 0
        self.seen = False
        self.others: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """What it was made with, as JSON has it."""
        return {"schedule": self.schedule, "on": self.on, "metric": self.metric, **self.settings}

    def state(self) -> dict[str, Any]:
        """What the Trainer keeps in `trainer_state.json`."""
        kept = self.scheduler and {
            "params": params_of(self.scheduler.schedule),
            "scheduler": self.scheduler.state_dict(),
        }
        return {"args": self.arguments(), "attributes": {"attached": self.attached, "kept": kept}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **others: Any) -> None:
        """Begin, or go on from the checkpoint that the Trainer resumes from."""
        self.rest()
        check(self, args, state)
        places: Any = state.stateful_callbacks
        stored = places.get(type(self).__name__)
        if isinstance(stored, list):
            raise UsageError("AdaptiveLRCallback: the Trainer has several, and only one can set the LR; keep one")
        kept = stored["attributes"]["kept"] if stored and state.global_step else None
        if kept and stored["args"] != self.arguments():
            raise UsageError(
                f"AdaptiveLRCallback: the checkpoint was made with {stored['args']}, not with {self.arguments()}; give "
                "the same, or set restore_callback_states_from_checkpoint=True in TrainingArguments"
            )
        optimizer = others["optimizer"]
        params = kept["params"] if kept else self.settings | self.start(optimizer)
        self.scheduler = AdaptiveLR(optimizer, build_schedule(self.family, params))
        if kept:
            self.scheduler.load_state_dict(kept["scheduler"])
        # A checkpoint of before this callback was added lacks the place that the Trainer wants to save it in.
        places[type(self).__name__] = self.state()
        if self.on == "update" and not self.attached:
            self.loss.watch(others["model"])

    def start(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """The LR to start from, where the settings do not give it and the schedule wants it."""
        if "initial_lr" in self.settings or "initial_lr" not in {f.name for f in fields(self.family)}:
            return {}
        first = first_lrs(optimizer)
        by_group = len(set(first)) > 1 or any(isinstance(value, list) for value in self.settings.values())
        return {"initial_lr": first if by_group else first[0]}

    def on_step_begin(self, *_: Any, lr_scheduler: Any = None, **others: Any) -> None:  # noqa: ARG002
        """Set the LR of the update to come, after all that the Trainer's own schedule may have done."""
        assert self.scheduler
        self.check_metric()
        self.scheduler.set()
        show_lr(lr_scheduler, self.scheduler.get_last_lr())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> TrainerControl:
        """Show the schedule the training loss of an update."""
        self.seen = True
        if self.on == "update":
            assert self.scheduler
            loss = float(self.loss.take(args))
            if not getattr(others["optimizer"], "step_was_skipped", False):
                self.scheduler.step(loss)
            self.unlogged, self.updates = self.unlogged + loss, self.updates + 1
            control.should_log = control.should_log or (state.global_step == 1 and not self.attached)
        return control

    def on_log(self, *_: Any, logs: Mapping[str, float] = MappingProxyType({}), **others: Any) -> None:  # noqa: ARG002
        """Compare the losses with the Trainer's."""
        if "loss" not in logs or not self.updates:
            return
        ours, theirs = self.unlogged / self.updates, logs["loss"]
        self.unlogged, self.updates = 0.0, 0
        # Some versions log four decimals; all replace a loss that is not finite by others.
        if math.isfinite(ours) and not math.isclose(ours, theirs, rel_tol=1e-3, abs_tol=1e-4):
            raise UsageError(
                f"AdaptiveLRCallback: the loss of the training is {theirs:.6g}, and the one the model returns "
                f"{ours:.6g}; {ATTACH}"
            )

    def on_evaluate(self, *_: Any, metrics: Mapping[str, float] = MappingProxyType({}), **others: Any) -> None:  # noqa: ARG002
        """Show the schedule the metric of an evaluation; not of those before the first update, as the Trainer does."""
        if self.on == "evaluation" and self.seen and self.scheduler:
            if self.metric in metrics:
                self.scheduler.step(metrics[self.metric])
                self.others = ()
            else:
                self.others = tuple(metrics)

    def check_metric(self) -> None:
        """Refuse evaluations that lack the metric."""
        if self.others and self.scheduler and self.scheduler.last_epoch == 0:
            raise unknown("metric", self.metric, self.others, "AdaptiveLRCallback: metric")

    def on_train_end(self, *_: Any, **others: Any) -> None:  # noqa: ARG002
        """Leave the model as it was."""
        self.check_metric()
        self.rest()


def check(callback: AdaptiveLRCallback, args: TrainingArguments, state: TrainerState) -> None:
    """Refuse training arguments that contradict the callback."""
    if warmup := args.get_warmup_steps(state.max_steps):
        raise UsageError(
            f"AdaptiveLRCallback: TrainingArguments ask for {warmup} warmup steps, which this callback does not take; "
            "set warmup_steps=0"
        )
    if callback.on == "evaluation" and str(getattr(args.eval_strategy, "value", args.eval_strategy)) == "no":
        raise UsageError("AdaptiveLRCallback: on='evaluation' needs evaluations; set eval_strategy to steps or epoch")
    if callback.on == "update" and args.n_gpu > 1 and not callback.attached:
        raise UsageError(f"AdaptiveLRCallback: the model is spread over {args.n_gpu} GPUs by DataParallel; {ATTACH}")
