"""The unit of work: train from one checkpoint over some steps with given LRs. Also its content key and result."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from lrctl.schedule import AdaptiveSchedule, Schedule, params_of

NUMERICS = 1
"""Part of every key. Raised whenever the same job would give other numbers than before."""

FORWARD = 1 / 3
"""What a forward pass costs beside a step, which is a forward pass and a backward pass of about twice its cost."""

Status = Literal["ok", "diverged", "failed", "stopped", "skipped"]
"""How a job ended: `stopped` before its end, since it could not be chosen any more; `skipped` is one never tried."""

TOLERANCE = 1e-9
"""A loss that is larger than another by no more than this share of it is not sure to be larger."""


@dataclass(frozen=True)
class Task:
    """What all jobs of a search share. `identity` names what can change a number and enters every key.

    Attributes:
        workload: a registered workload's name, or `file.py:Class`.
        workload_params: its parameters, JSON values.
        content: digest of what the parameters do not name: the data, the source of `file.py`.
        optimizer: name and settings; None where the workload brings its own.
        device: as torch names it; only its type (`cpu`, `cuda`) enters the key.
        micro_batches: pieces that each batch is cut into; their gradients add up to the batch's.
        compile: whether the model is compiled.
        tf32: whether matrix products of float32 on CUDA are done in TensorFloat-32; nothing elsewhere.
        run: the run these jobs are trained for. Recorded with each result, not part of the key.
    """

    workload: str
    workload_params: Mapping[str, Any]
    content: str
    seed: int
    optimizer: Mapping[str, Any] | None
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    micro_batches: int = 1
    compile: bool = False
    tf32: bool = False
    run: str = ""

    def of(self, job: SegmentJob) -> Task:
        """The task as it is for a job that has a seed or an optimizer of its own."""
        if job.seed is None and job.optimizer is None:
            return self
        seed, optimizer = job.seed, job.optimizer
        return replace(
            self,
            seed=self.seed if seed is None else seed,
            optimizer=self.optimizer if optimizer is None else dict(optimizer),
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything about the task that a job's numbers depend on; an option enters it once it is used."""
        device = self.device.partition(":")[0]
        options = {
            "micro_batches": self.micro_batches > 1 and self.micro_batches,
            "compile": self.compile,
            "tf32": self.tf32 and device == "cuda",
        }
        return {
            "numerics": NUMERICS,
            "workload": self.workload.rpartition(":")[2],
            "workload_params": dict(self.workload_params),
            "content": self.content,
            "seed": self.seed,
            "optimizer": None if self.optimizer is None else dict(self.optimizer),
            "device": device,
            "dtype": self.dtype,
            "threads": self.threads,
            **{name: value for name, value in options.items() if value},
        }


@dataclass(frozen=True)
class SegmentJob:
    """Train steps [start, stop) from the checkpoint of job `parent` (None: from initialisation).

    Attributes:
        schedule: gives the LR of each of these steps, by their number in the whole run.
        score_batches: after the last step, the mean loss with frozen weights over that many reserved batches.
        evaluate: splits to evaluate after the last step, `validation` or `test`.
        checkpoint: False where nothing will continue from this job. Not part of the key.
        gradient_norms: measure the gradient's L2 norm over all parameters at each step, before any clipping.
        seed: in place of the recipe's.
        optimizer: name and settings, in place of the recipe's: one of `Problem.optimizers`, changed or not.
        stages: after these steps the smoothed training loss of the run so far is wanted. Not part of the key.
        stop_above: with a mean loss above this the job cannot be chosen: it may be stopped, and leaves no checkpoint.
            None: it is trained to its end. Not part of the key.
    """

    start: int
    stop: int
    schedule: Schedule | AdaptiveSchedule
    parent: str | None = None
    score_batches: int = 0
    evaluate: tuple[str, ...] = ()
    checkpoint: bool = True
    gradient_norms: bool = False
    seed: int | None = None
    optimizer: Mapping[str, Any] | None = field(default=None, hash=False)
    stages: tuple[int, ...] = ()
    stop_above: float | None = None

    @cached_property
    def lrs(self) -> list[float] | None:
        """The LR of each step; None for an adaptive schedule, whose LRs are known only afterwards.

        Raises:
            ValueError: the schedule gives an LR that is negative or not finite.
        """
        if isinstance(self.schedule, AdaptiveSchedule):
            return None
        # Adding 0.0 turns -0.0 into 0.0: equal LRs must have equal keys.
        lrs = [float(self.schedule(step)) + 0.0 for step in range(self.start, self.stop)]
        for step, lr in enumerate(lrs, self.start):
            if not (math.isfinite(lr) and lr >= 0):
                raise ValueError(f"{self.schedule!r} gives LR {lr} at step {step}; it must be finite and >= 0")
        return lrs

    @property
    def frozen(self) -> bool:
        """Whether every LR is 0, so that the weights never move."""
        return self.lrs is not None and not any(self.lrs)

    def cannot_be_chosen(self, mean_loss: float) -> bool:
        """Whether the job is of no use with this mean loss, or more."""
        return self.stop_above is not None and not mean_loss * (1 - TOLERANCE) <= self.stop_above

    def key(self, task: Task) -> str:
        """The sha256 of canonical JSON of all that decides the result: equal work has an equal key."""
        if self.lrs is None:
            family = type(self.schedule)
            lrs: Any = {"family": f"{family.__module__}.{family.__qualname__}", "params": params_of(self.schedule)}
        else:
            lrs = hashlib.sha256(struct.pack(f"<{len(self.lrs)}d", *self.lrs)).hexdigest()
        return digest(
            {
                **task.of(self).identity,
                "parent": self.parent,
                "start": self.start,
                "stop": self.stop,
                "lrs": lrs,
                "score_batches": self.score_batches,
                "evaluate": list(self.evaluate),
                **({"gradient_norms": True} if self.gradient_norms else {}),
            }
        )


@dataclass(frozen=True)
class Failure:
    """Why a job failed: the exception's type and message, and the traceback for --debug."""

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class SegmentResult:
    """What a job gave.

    Attributes:
        mean_loss: mean of the finite training losses of its steps (nats for language models); +inf if there
            are none, or if the job was judged diverged.
        non_finite: how many training losses were NaN or infinite.
        tail_loss: mean of the last tenth of the losses, all counted; +inf if one of them is not finite.
        score: mean loss with frozen weights over the reserved batches, if asked for.
        metrics: split -> metric -> value, if asked for.
        seconds: time the training took. `steps` is what was really trained.
        digests: of the stored losses and, where one was written, the checkpoint.
        gradient_norms: of each step, if asked for.
        train_loss: the final training loss of the whole run that ends with this job, smoothed; +inf if the run has
            more non-finite losses than `divergence.max_non_finite`. Never stored: the session adds it where a
            strategy is answered with a job that ends the run and is evaluated.
        stage_losses: the smoothed training loss after each of the job's `stages`; never stored either.
        extra_forwards: forward passes beyond one for each step, which a schedule asked for.
        at_least: of a job that was stopped, a lower bound of the mean loss that it would have had; its `mean_loss`
            is +inf, and `steps` what was trained until then.
        discarded: steps that the same run trained for this job before, when it was stopped.
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
    score: float | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    failure: Failure | None = None
    gradient_norms: tuple[float, ...] | None = None
    train_loss: float | None = None
    stage_losses: tuple[float, ...] = ()
    extra_forwards: int = 0
    at_least: float | None = None
    discarded: int = 0

    def to_json(self) -> dict[str, Any]:
        """The result as strict JSON: a number that is not finite becomes null."""
        document: dict[str, Any] = finite(asdict(self))
        del document["failure"], document["train_loss"], document["stage_losses"]
        for name in ("score", "gradient_norms", "extra_forwards", "at_least", "discarded"):
            if document[name] == type(self).__dataclass_fields__[name].default:
                del document[name]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SegmentResult:
        """The inverse of `to_json`; a null loss is +inf again."""
        values = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        for name in ("mean_loss", "tail_loss", "score"):
            if name in values and values[name] is None:
                values[name] = math.inf
        values["metrics"] = {
            split: {name: math.inf if value is None else value for name, value in metrics.items()}
            for split, metrics in values.get("metrics", {}).items()
        }
        if "gradient_norms" in values:
            values["gradient_norms"] = tuple(math.inf if n is None else n for n in values["gradient_norms"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Divergence:
    """When a job counts as diverged (paper, Appendix A; the second rule looks at a tenth, not at one batch).

    Attributes:
        max_non_finite: more non-finite training losses than this is divergence.
        margin: so is a tail mean greater than the segment's mean plus this, in units of the loss.
    """

    max_non_finite: int = 3
    margin: float = 0.5

    def __post_init__(self) -> None:
        if self.max_non_finite < 0:
            raise ValueError(f"max_non_finite: must be at least 0, got {self.max_non_finite}")
        if not self.margin > 0:
            raise ValueError(f"margin: must be greater than 0, got {self.margin}")

    def sound(self, result: SegmentResult) -> bool:
        """Whether a job that was trained to its end has not diverged, whatever became of the others of its batch."""
        rising = not result.tail_loss <= result.mean_loss + self.margin
        return math.isfinite(result.mean_loss) and result.non_finite <= self.max_non_finite and not rising

    def judge(
        self, jobs: Sequence[SegmentJob], results: Sequence[SegmentResult]
    ) -> tuple[list[SegmentResult], str | None]:
        """The results of a batch with the diverged ones marked, and a note if the second rule was dropped.

        All jobs of a batch see the same data, so one hard batch at the end can make the second rule reject all
        of them at once; then only the first rule counts. Jobs whose weights never move cannot diverge.
        """
        numeric = [r.steps > 0 and r.non_finite > self.max_non_finite for r in results]
        rising = [
            r.steps > 0 and not job.frozen and not r.tail_loss <= r.mean_loss + self.margin
            for job, r in zip(jobs, results, strict=True)
        ]
        training = [i for i, (job, r) in enumerate(zip(jobs, results, strict=True)) if r.steps and not job.frozen]
        note = None
        if training and all(numeric[i] or rising[i] for i in training) and not all(numeric[i] for i in training):
            rising = [bad and not math.isfinite(r.tail_loss) for bad, r in zip(rising, results, strict=True)]
            note = (
                f"the last tenth of the losses was more than {self.margin:g} above the mean for every candidate, "
                "so only non-finite losses counted as divergence"
            )
        judged = [
            replace(r, status="diverged", mean_loss=math.inf) if numeric[i] or rising[i] else r
            for i, r in enumerate(results)
        ]
        return judged, note


def canonical_json(document: Any) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(document: Any) -> str:
    """The sha256 of a document's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def finite(value: Any) -> Any:
    """A JSON value with every number that is not finite replaced by None."""
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
