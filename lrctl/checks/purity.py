"""The rules that a search on a user's own workload tries first, from a few steps of training.

Imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lrctl.checks.rules import CUT, LR, STEPS, Broken, Rule, Subject, constant
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.workload import Workload
from lrctl.errors import UsageError
from lrctl.storage import checkpoint
from lrctl.training.doors import checked_model
from lrctl.training.trainer import Training

KERNELS = "; or it is a kernel that rounds otherwise each time: training.deterministic=false allows that on CUDA"


def check_purity(workload: Workload, spec: TrainSpec) -> None:
    """Train a few steps, over and again: the same job gives the same losses, whatever came before and between.

    On a GPU, whose kernels need not give the same bits twice, losses that are near count as the same.

    Raises:
        UsageError: names the rule that the workload breaks.
    """
    subject = Subject(workload, spec)
    for rule in FIRST_USE:
        try:
            rule.probe(subject)
        except Broken as broken:
            advice = KERNELS if rule in (OTHER_JOBS, CUT_RUN) and spec.device != "cpu" else ""
            raise UsageError(f"{subject.name}: {broken}{advice}; `lrctl check` tells more") from broken


def new_model(subject: Subject) -> str:
    one, other = (checked_model(subject.workload.model(), subject.name) for _ in range(2))
    if one is other:
        raise Broken("model() gives the same model each time, which every job would go on training", "make a new one")
    shared = {id(tensor) for tensor in tensors_of(one)} & {id(tensor) for tensor in tensors_of(other)}
    if shared:
        raise Broken(
            f"model() gave two models that share {len(shared)} tensors, which every job would go on training",
            "make new ones each time, or copy what is shared: copy.deepcopy",
        )
    return f"{type(one).__name__}, {sum(p.numel() for p in one.parameters()):,} parameters"


def tensors_of(model: torch.nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def pure_batches(subject: Subject) -> str:
    passes = subject.passes()
    first = [digest_of(passes.batch(step)) for step in range(STEPS)]
    if passes.carrying:
        return begun_again(subject, first)
    again = [digest_of(passes.batch(step)) for step in reversed(range(STEPS))][::-1]
    other = [step for step in range(STEPS) if first[step] != again[step]]
    if other:
        raise Broken(
            f"batch({other[0]}) gave another batch when it was asked for again",
            "it must depend on the step and the seed alone. Look for an iterator over a DataLoader that goes on, a "
            "generator or counter of your own, data that are changed in place; `lrctl.contracts.workload.drawn` gives "
            "the rows of a step",
        )
    return f"batches 0 to {STEPS - 1}, drawn twice in two orders, are the same"


def begun_again(subject: Subject, first: list[str]) -> str:
    passes = subject.passes()
    other = [step for step in range(STEPS) if digest_of(passes.batch(step)) != first[step]]
    if other:
        raise Broken(
            f"batch({other[0]}) gave another batch after a new beginning",
            "carry(None) must begin anew: a new iterator over the data, whose shuffling the seed alone decides",
        )
    return f"batches 0 to {STEPS - 1}, drawn twice from the beginning, are the same"


def digest_of(batch: Any) -> str:
    """A digest of what a batch holds; objects of unknown kinds count by their type."""
    total = hashlib.sha256()
    add(batch, total)
    return total.hexdigest()


def add(value: Any, total: Any) -> None:
    total.update(type(value).__name__.encode())
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        total.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str | bytes | int | float | None):
        total.update(repr(value).encode())
    elif isinstance(value, Mapping | list | tuple):
        for item in value.items() if isinstance(value, Mapping) else value:
            add(item, total)


def lr_used(subject: Subject) -> str:
    if subject.same(subject.whole, subject.train(schedule=constant(2 * LR)).losses, bits=True):
        raise Broken(
            f"{STEPS} updates with LR {LR:g} and with {2 * LR:g} gave the same losses, so that there is nothing to "
            "search",
            "see that the optimizer moves the parameters that the loss depends on, and uses its groups' lr",
        )
    return f"{STEPS} updates with another LR gave other losses"


def other_jobs(subject: Subject) -> str:
    whole = subject.whole
    subject.train(schedule=constant(2 * LR))
    if not subject.same(whole, subject.train().losses):
        raise Broken(
            "the same steps gave other losses after another job",
            "model(), batch(step) and loss() must depend on their arguments and the seed alone. Look for a generator "
            "or counter of your own, weights kept beside the model, data that are changed in place",
        )
    return f"{STEPS} steps gave the same losses before and after another job"


def whole_and_cut(subject: Subject) -> str:
    begun = Training(subject.workload, subject.spec, SegmentJob(0, CUT, constant(LR)))
    begun.run()
    try:
        state = checkpoint.round_trip(begun.state())
    except (TypeError, ValueError) as error:
        raise Broken(f"no checkpoint can be made: {error}", "keep tensors, numbers and text in state_dict()") from error
    if subject.same(subject.whole[CUT:], subject.train(CUT, state=state).losses):
        return f"a run that was cut after {CUT} of {STEPS} steps has the losses of the whole"
    carried_on = subject.train(CUT, state=state, workload=Continued(subject.workload, begun.model)).losses
    if subject.same(subject.whole[CUT:], carried_on):
        where, what = "in the model", "a Python attribute, a buffer with persistent=False, a copy of the weights"
    else:
        where, what = (
            "beside the model",
            "a step count or moments of an optimizer, float32 masters, a copy of the weights",
        )
    if begun.passes.carrying:
        what += ", or what the state that is carried leaves out: random numbers of a loader's own processes"
    raise Broken(
        f"a run that is cut after {CUT} steps and goes on from its checkpoint has other losses; something is kept "
        f"{where}, outside of the state_dict of model and optimizer",
        f"look for {what}; make it a buffer, or part of state_dict()",
    )


class Continued:
    """A workload whose model is one that has been trained, with all that it keeps."""

    def __init__(self, workload: Workload, model: torch.nn.Module) -> None:
        self.workload, self.only = workload, model

    def model(self) -> torch.nn.Module:
        return self.only

    def __getattr__(self, name: str) -> Any:
        return getattr(self.workload, name)


NEW_MODEL = Rule("model", "model() gives a new model each time", new_model)
BATCH = Rule("batch", "batch(step) depends on the step, the seed and what is carried alone", pure_batches)
LR_USED = Rule("lr", "the optimizer uses the LR that it is given", lr_used, ("repeated loss", "groups"))
OTHER_JOBS = Rule("other jobs", "what came before changes nothing", other_jobs, ("lr",))
CUT_RUN = Rule("checkpoint", "a run that is cut and goes on is the whole run", whole_and_cut, ("other jobs",))

FIRST_USE = (NEW_MODEL, BATCH, LR_USED, OTHER_JOBS, CUT_RUN)
