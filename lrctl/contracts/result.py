"""What a job gave: the record that the store keeps, and the answer that a strategy is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

T = TypeVar("T")

FORWARD = 1 / 3
"""What a forward pass costs beside a step, which is a forward pass and a backward pass of about twice its cost."""

Status = Literal["ok", "diverged", "failed", "stopped", "skipped"]
"""How a job ended: `stopped` before its end, since it could not be chosen any more; `skipped` is one never tried."""


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the exception's type and message, and the traceback for --debug."""

    kind: str
    message: str
    traceback: str = ""

    @property
    def out_of_memory(self) -> bool:
        """Whether a device's memory was full, as torch's allocator, CUDA or one of its libraries says."""
        told = ("out of memory" in self.message, "_STATUS_ALLOC_FAILED" in self.message)
        return self.kind == "OutOfMemoryError" or (self.kind in ("RuntimeError", "AcceleratorError") and any(told))

    @property
    def broken(self) -> bool:
        """Whether the process can compute nothing more on its device, as after a failed assertion on a GPU.

        An executor does no other job in that process.
        """
        told = any(name in self.message for name in ("CUDA error", "HIP error", "cuDNN error"))
        device = self.kind == "AcceleratorError" or (self.kind == "RuntimeError" and told)
        return device and not self.out_of_memory


def beside_loss(metrics: Mapping[str, Mapping[str, T]]) -> dict[str, dict[str, T]]:
    """Metrics by split without the loss; a split that has no others is left out."""
    others = {split: {name: value for name, value in of.items() if name != "loss"} for split, of in metrics.items()}
    return {split: of for split, of in others.items() if of}


@dataclass(frozen=True)
class JobResult:
    """What a strategy is answered with, and observers are shown.

    Attributes:
        key: of the job.
        mean_loss: mean of the finite training losses of its steps (nats for language models); +inf if there are none,
            or if the job was judged diverged or was stopped.
        steps: how many were trained.
        scores: the loss with frozen weights of each reserved batch, if asked for; none where the workload has none in
            reserve, and fewer than asked for where it has fewer.
        metrics: split -> metric -> value, if asked for.
        weights: what scores and metrics are of, where averages are kept: `last`, or `average` and its power.
        evaluated: forward passes, of as many rows as a batch has, that its validation metrics took; 0 if unknown.
        gradient_norms: of each step, if asked for.
        extra_forwards: forward passes beyond one for each step, which a schedule asked for.
        at_least: of a job that was stopped, a lower bound of the mean loss that it would have had.
        train_loss: the final training loss of the whole run that ends with this job, smoothed, if it evaluates that
            run; +inf if the run has more non-finite losses than `divergence.max_non_finite`.
        stage_losses: the smoothed training loss after each of the job's `stages`.
        epoch: updates in one pass through the training data; None where the workload does not tell.
        seconds: time the training took, as it was recorded: to be told, and never to choose by.
    """

    key: str
    status: Status
    mean_loss: float = math.inf
    steps: int = 0
    scores: tuple[float, ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    weights: str = ""
    evaluated: int = 0
    gradient_norms: tuple[float, ...] | None = None
    extra_forwards: int = 0
    at_least: float | None = None
    train_loss: float | None = None
    stage_losses: tuple[float, ...] = ()
    epoch: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def spent_steps(self) -> float:
        """What it took, in steps: those that were trained, and a third of one for each forward pass beside them."""
        return self.steps + FORWARD * (len(self.scores) + self.evaluated + self.extra_forwards)

    @property
    def other_metrics(self) -> dict[str, dict[str, float]]:
        """The metrics beside the loss."""
        return beside_loss(self.metrics)

    @property
    def score(self) -> float | None:
        """The mean of the scores; None if there are none."""
        return sum(self.scores) / len(self.scores) if self.scores else None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What an executor gives back of a job, and the store keeps. Fields that both types have mean the same.

    Attributes:
        non_finite: how many training losses were NaN or infinite.
        tail_loss: mean of the last tenth of the losses, all counted; +inf if one of them is not finite.
        deviation: the standard deviation of the finite losses.
        seconds: time the training took.
        digests: of the stored losses and, where one was written, the checkpoint.
        run: the run that it was trained for.
        discarded: steps that the same run trained for this job before, when it was stopped.
        remade: by run, the steps that were trained again for a checkpoint that was gone.
        remaking: the run that is at that now.
        lr_scales: what the LR was multiplied by for each param group; none where it was the LR of all.
        failure: why the job failed. Never stored.
    """

    key: str
    status: Status
    mean_loss: float = math.inf
    non_finite: int = 0
    tail_loss: float = math.inf
    steps: int = 0
    seconds: float = 0.0
    attempts: int = 1
    parent: str | None = None
    scores: tuple[float, ...] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evaluated: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    gradient_norms: tuple[float, ...] | None = None
    extra_forwards: int = 0
    at_least: float | None = None
    discarded: int = 0
    remade: Mapping[str, int] = field(default_factory=dict)
    remaking: str = ""
    deviation: float = 0.0
    weights: str = ""
    lr_scales: tuple[float, ...] = ()
    failure: Failure | None = None

    def answer(self, *, diverged: bool = False, **others: Any) -> JobResult:
        """What a strategy is told of it; `others` are fields that the record does not have, such as `train_loss`."""
        shared = {f.name: getattr(self, f.name) for f in fields(JobResult) if hasattr(self, f.name)}
        judged = {"status": "diverged", "mean_loss": math.inf} if diverged else {}
        return JobResult(**{**shared, **judged, **others})
