"""The unit of work: train from one checkpoint over some steps with given LRs. Also its content key."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lrctl.contracts.canonical import digest
from lrctl.contracts.optimizers import ByName, OptimizerSettings
from lrctl.contracts.params import UNKEYED, identity
from lrctl.contracts.program import OWN_DEVICE
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule, family_of

NUMERICS = 4
"""Part of every key. Raised whenever the same job would give other numbers than before."""

COMPARED = 32
"""Reserved batches that averages of the weights and the last ones are compared on where a job asks for no score."""

TOLERANCE = 1e-9
"""A loss that is larger than another by no more than this share of it is not sure to be larger."""


@dataclass(frozen=True)
class TrainSpec:
    """What all jobs of a search share. What decides a number enters every key, unless it is at its default.

    Attributes:
        workload: a registered workload's name, or `file.py:Class`.
        workload_params: its parameters that are not at their defaults, JSON values.
        content: digest of what the parameters do not name: the data, and code that is not lrctl's.
        optimizer: its settings; None where the workload brings its own.
        device: as torch names it; only its type (`cpu`, `cuda`) enters the key. A program chooses its
            `own`, among as many GPUs as `own:4` says.
        micro_batches: pieces that each batch is cut into; their gradients add up to the batch's.
        compile: whether the model is compiled.
        tf32: whether matrix products of float32 on CUDA are done in TensorFloat-32; nothing elsewhere.
        averaging: powers of the averages of weights that are kept along the run.
        deterministic: whether operations on CUDA take their deterministic kernels; on a CPU they always do.
        steps: of the whole run, where the workload is told of it; else 0.
        workload_unkeyed: parameters of the workload that decide no number.
        families: code of third-party families whose schedules see the run, by name; a job's enters its key.
        run: the run these jobs are trained for, recorded with each.
        epoch: updates in one pass through the training data; None where the workload does not tell.
        told: settings that the workload tells of itself, for exports.
    """

    workload: str
    workload_params: Mapping[str, Any]
    content: str
    seed: int
    optimizer: OptimizerSettings | None
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    micro_batches: int = 1
    compile: bool = False
    tf32: bool = False
    deterministic: bool = True
    averaging: tuple[float, ...] = ()
    steps: int = 0
    workload_unkeyed: Mapping[str, Any] = field(default_factory=dict, metadata=UNKEYED)
    families: Mapping[str, str] = field(default_factory=dict, metadata=UNKEYED)
    run: str = field(default="", metadata=UNKEYED)
    epoch: float | None = field(default=None, metadata=UNKEYED)
    told: Mapping[str, Any] = field(default_factory=dict, metadata=UNKEYED)

    def of(self, job: SegmentJob) -> TrainSpec:
        """The spec as it is for a job that has a seed or an optimizer of its own."""
        if job.seed is None and job.optimizer is None:
            return self
        seed = self.seed if job.seed is None else job.seed
        return replace(self, seed=seed, optimizer=job.optimizer or self.optimizer)

    @property
    def exact(self) -> bool:
        """Whether a job gives the same bits each time it is made."""
        return self.device.partition(":")[0] != OWN_DEVICE and (
            self.deterministic or not self.device.startswith("cuda")
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything about the spec that a job's numbers depend on."""
        kind = self.device.partition(":")[0]
        # Where the file of `file.py:Class` lies decides nothing; its content does.
        told = replace(self, workload=self.workload.rpartition(":")[2], device=kind)
        told = replace(told, tf32=self.tf32 and kind == "cuda", deterministic=self.exact)
        own = self.optimizer and {"name": self.optimizer.name.rpartition("/")[2], **identity(self.optimizer)}
        return {**identity(told), "optimizer": own, "numerics": NUMERICS}


@dataclass(frozen=True)
class SegmentJob:
    """Train steps [start, stop) from the checkpoint of job `parent` (None: from initialisation).

    Attributes:
        schedule: gives the LR of each of these steps, by their number in the whole run.
        score_batches: after the last step, the mean loss with frozen weights over that many reserved batches.
        evaluate: splits to evaluate after the last step, `validation` or `test`.
        gradient_norms: measure the gradient's L2 norm over all parameters at each step, before any clipping.
        seed: in place of the recipe's.
        optimizer: in place of the recipe's: one of `RunSpec.optimizers`, changed or not.
        checkpoint: False where nothing will continue from this job.
        stages: after these steps the smoothed training loss of the run so far is wanted.
        stop_above: with a mean loss above this the job cannot be chosen: it may be stopped, and leaves no checkpoint.
            None: it is trained to its end.
        anew: train it whatever the store knows of it, and put what it gives in the place of that.
        repeat: which start of the same work it is, counted from 0: another start is another job.
    """

    start: int
    stop: int
    schedule: Schedule | AdaptiveSchedule
    parent: str | None = None
    score_batches: int = 0
    evaluate: tuple[str, ...] = ()
    gradient_norms: bool = False
    # The two enter the key through `TrainSpec.of`, the schedule by its LRs.
    seed: int | None = field(default=None, metadata=UNKEYED)
    optimizer: OptimizerSettings | None = field(default=None, metadata=UNKEYED)
    checkpoint: bool = field(default=True, metadata=UNKEYED)
    stages: tuple[int, ...] = field(default=(), metadata=UNKEYED)
    stop_above: float | None = field(default=None, metadata=UNKEYED)
    anew: bool = field(default=False, metadata=UNKEYED)
    repeat: int = 0

    @property
    def steps(self) -> int:
        """How many updates it is."""
        return self.stop - self.start

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

    @property
    def first_look(self) -> bool:
        """Whether it evaluates an untrained model, which a search on a user's own workload begins with."""
        return not self.steps and self.parent is None

    def forward_only(self, spec: TrainSpec) -> bool:
        """Whether updates would change nothing that is kept or asked for, so that a step is a forward pass."""
        # A class that is not lrctl's may move weights at LR 0 too.
        optimizer = spec.of(self).optimizer
        own = optimizer is None or isinstance(optimizer, ByName)
        return self.frozen and not self.checkpoint and not self.gradient_norms and not own

    def cannot_be_chosen(self, mean_loss: float) -> bool:
        """Whether the job is of no use with this mean loss, or more."""
        return self.stop_above is not None and not mean_loss * (1 - TOLERANCE) <= self.stop_above

    def key(self, spec: TrainSpec) -> str:
        """The sha256 of canonical JSON of all that decides the result: equal work has an equal key."""
        if self.lrs is None:
            family = family_of(self.schedule)
            code = {"code": spec.families[family]} if family in spec.families else {}
            lrs: Any = {"family": family, "params": identity(self.schedule), **code}
        else:
            lrs = hashlib.sha256(struct.pack(f"<{len(self.lrs)}d", *self.lrs)).hexdigest()
        own = {name: value for name, value in identity(self).items() if name != "schedule"}
        return digest({**spec.of(self).identity, **own, "lrs": lrs})
