"""The training loop.

Imports torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.workload import AfterUpdate, BeforeUpdate, Workload
from lrctl.errors import UsageError
from lrctl.optimizers import by_role
from lrctl.optimizers.building import build_optimizer
from lrctl.training.averages import averages
from lrctl.training.compiling import Compiled
from lrctl.training.early_stopping import PartialMean
from lrctl.training.lr_control import Control
from lrctl.training.optimizer_state import clear_gradients, restore, switch
from lrctl.training.passes import Passes


@dataclass(slots=True)
class Trained:
    """What training a job gave: the loss of each step, the LR really used for it, and the state at the end.

    `at_least` is a lower bound of the mean loss of a job that was stopped; None where it was trained to its end.
    `weights` are those that scores and metrics are of, where averages were kept too. `epoch` is the length of a pass
    through the data in updates, where a program tells it. `lr_scales` are those of the param groups, if one is not 1.
    """

    losses: np.ndarray[Any, Any]
    lrs: list[float]
    state: dict[str, Any]
    seconds: float
    scores: tuple[float, ...] = ()
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    evaluated: int = 0
    weights: str = ""
    gradient_norms: tuple[float, ...] | None = None
    extra_forwards: int = 0
    at_least: float | None = None
    epoch: float | None = None
    lr_scales: tuple[float, ...] = ()


def train(workload: Workload, spec: TrainSpec, job: SegmentJob, start_from: dict[str, Any] | None = None) -> Trained:
    """Train steps [job.start, job.stop), from initialisation or from the state of another job.

    The loss of step t is that of batch t before update t. `start_from` is left as it is. A job whose mean loss is sure
    to exceed its `stop_above` is stopped, and neither scored nor evaluated. Where every LR is 0 and the state is not
    kept (`job.checkpoint` is false), losses are computed without gradients and updates; the optimizer's state is then
    not what these would have made of it.

    Raises:
        UsageError: something resets the LR between the schedule and the update, or the first loss is not finite.
        ValueError: a schedule gives an LR that is negative or not finite.
    """
    training = Training(workload, spec, job)
    if start_from is not None:
        training.restore(start_from)
    began = time.perf_counter()
    at_least = training.run()
    losses = training.losses[: len(training.lrs)].cpu().numpy()  # waits for the device
    seconds = time.perf_counter() - began
    forwards = training.control.forwards
    trained = Trained(losses, training.lrs, training.state(), seconds, extra_forwards=forwards, at_least=at_least)
    trained.lr_scales = tuple(training.control.scales) if set(training.control.scales) != {1.0} else ()
    if at_least is None:
        training.measure(trained)
    return trained


class Training:
    """A model on its way through a job: its losses so far, and the LRs that were used."""

    def __init__(self, workload: Workload, spec: TrainSpec, job: SegmentJob) -> None:
        self.workload, self.spec, self.job = workload, spec, job
        self.passes = Passes(workload, spec)
        self.model = self.passes.model
        self.optimizer = build_optimizer(workload, self.model, spec.optimizer)
        # Those that the optimizer leaves out have gradients too, which clipping would see grow from step to step.
        self.trained = list({*self.model.parameters(), *(p for g in self.optimizer.param_groups for p in g["params"])})
        self.control = Control(self.optimizer, job.schedule)
        self.groups = by_role.told(self.optimizer, self.control.scales, self.model) if spec.optimizer else []
        self.compiled = Compiled(self.model, self.passes.where) if spec.compile else None
        self.losses = torch.empty(job.stop - job.start, dtype=torch.float32, device=self.passes.device)
        self.norms = torch.zeros_like(self.losses)
        self.lrs: list[float] = []
        self.averages = averages(self.passes, spec.averaging, self.optimizer)
        self.clip_norm = spec.optimizer.clip_norm if spec.optimizer else 0.0
        self.frozen = job.frozen
        self.before = workload.before_update if isinstance(workload, BeforeUpdate) else None
        self.after = workload.after_update if isinstance(workload, AfterUpdate) else None

    def restore(self, state: dict[str, Any]) -> None:
        self.passes.restore(state)
        restore(self.optimizer, state["optimizer"])
        self.control.restore(state)
        if self.averages:
            self.averages.restore(state, self.job.start)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds; the tensors are the training's own."""
        state = {**self.passes.state(), "optimizer": self.optimizer.state_dict(), **self.control.state()}
        state |= self.averages.state() if self.averages else {}
        return state | ({"groups": self.groups} if sum(map(len, self.groups)) > 1 else {}) | self.to_evaluate()

    def to_evaluate(self) -> dict[str, Any]:
        """For a checkpoint, the weights that the optimizer keeps for evaluation (schedule-free)."""
        if not hasattr(self.optimizer, "eval"):
            return {}
        with self.weights_to_evaluate():
            return {"evaluated": {name: p.detach().clone() for name, p in self.model.named_parameters()}}

    def run(self) -> float | None:
        """Train every step. Returns a lower bound of the mean loss if the job was stopped before its end, else None."""
        # What follows an update may move weights at LR 0 too.
        forward_only = self.job.forward_only(self.spec) and not self.after
        advance = self.record_loss if forward_only else self.update
        stoppable = not getattr(self.workload, "signed_loss", False)
        partial_mean = PartialMean(self.job)
        self.passes.train()
        switch(self.optimizer, "train")
        for step in range(self.job.start, self.job.stop):
            advance(step)
            if self.averages:
                self.averages.update(step)
            if self.compiled:
                self.compiled.check_called()
            if step == 0:
                self.check_first_loss()
            if stoppable and partial_mean.due(len(self.lrs)):
                partial_mean.add(self.losses[partial_mean.seen : len(self.lrs)].tolist())
                if partial_mean.exceeded:
                    return partial_mean.at_least
        return None

    def check_first_loss(self) -> None:
        if not math.isfinite(loss := float(self.losses[0])):
            raise UsageError(
                f"{self.passes.where}: the loss is {loss} at step 0, before any update, so that no LR is to blame; "
                "check the model's first weights and the data"
            )

    def update(self, step: int) -> None:
        index = step - self.job.start
        loss = self.passes.backward(self.passes.batch(step))
        if self.job.gradient_norms:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            self.norms[index] = torch.nn.utils.get_total_norm(gradients)
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if self.before:
            self.before(self.model, step)
        lr = self.control.decide(step, loss, partial(self.passes.loss_again, step))
        if self.frozen:
            self.control.hold()  # its losses are those of the weights as they are, with and without updates
        self.step_optimizer(step, lr)
        self.control.check(first=index == 0)
        self.losses[index] = loss
        self.lrs.append(lr)
        self.control.observe(step, lr, self.losses[index])
        clear_gradients(self.trained)
        if self.after:
            with torch.no_grad():
                self.after(self.model, step)

    def record_loss(self, step: int) -> None:
        self.losses[step - self.job.start] = self.passes.forward(self.passes.batch(step))
        self.lrs.append(0.0)

    def step_optimizer(self, step: int, lr: float) -> None:
        try:
            self.optimizer.step()
        except ZeroDivisionError as error:
            if lr:
                raise
            raise UsageError(
                f"optimizer {type(self.optimizer).__name__}: it divides by the LR, which is 0 at step {step}; choose a "
                "schedule that is never 0, or another optimizer"
            ) from error

    def measure(self, trained: Trained) -> None:
        job = self.job
        if job.gradient_norms:
            trained.gradient_norms = tuple(self.norms.tolist())
        if not (job.score_batches or job.evaluate):
            return
        if self.averages:
            self.averages.choose(job)
            trained.state |= self.averages.state()
            trained.weights = self.averages.name
        with self.averages.weights() if self.averages else self.weights_to_evaluate():
            if job.score_batches:
                trained.scores = self.passes.score(job.score_batches)
            for split in job.evaluate:
                trained.metrics[split], forwards = self.passes.evaluate(split, job.stop)
                trained.evaluated += forwards * (split == "validation")
        if self.averages:
            trained.extra_forwards += self.averages.forwards

    @contextmanager
    @torch.no_grad()
    def weights_to_evaluate(self) -> Iterator[None]:
        """The weights that the optimizer keeps for evaluation (schedule-free), for the length of a block."""
        if not hasattr(self.optimizer, "eval"):
            yield
            return
        kept = [(parameter, parameter.clone()) for parameter in self.model.parameters()]
        switch(self.optimizer, "eval")
        try:
            yield
        finally:
            switch(self.optimizer, "train")
            for parameter, before in kept:  # what it computes is near to them, and not the same bits
                parameter.copy_(before)
