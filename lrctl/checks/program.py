"""What a program of the user's own must keep, told by a few starts of it.

Bits cannot be promised of a program: what two starts of the same job differ by is measured, and all else compared with
that.

Imports torch.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lrctl.checks.rules import LR, Broken, Rule, Untold, constant
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.program import Program
from lrctl.errors import ProgramError
from lrctl.program.runner import train
from lrctl.storage.store import Store
from lrctl.training.trainer import Trained

STEPS = 8
"""Of a job. It is cut twice, since one that goes on from a job that went on itself may be at another place."""

LONGEST = 64
"""Updates in an epoch up to which a run is cut behind its first."""

SPLITS = ("validation", "test")

HIGHER = 3
"""By what the LR is multiplied from the middle on, to see whether it is used."""

TINY, SURE, MOST = 1e-6, 3.0, 1e-2
"""Losses count as the same up to so large a share of them, or so many times what two starts differ by; two starts that
differ by more than the last are no basis for a search: a job that is made again counts as another."""

SEE = "lrctl guide program tells what a program is told, and must answer"


@dataclass
class Started:
    """A program, and what it answers to a few jobs, each done once."""

    program: Program
    spec: TrainSpec
    store: Store

    @cached_property
    def stop(self) -> int:
        return min(STEPS, self.spec.steps)

    @property
    def middle(self) -> int:
        return self.stop // 2

    def train(self, start: int, stop: int, state: Any = None, **changes: Any) -> Trained:
        spec = replace(self.spec, seed=changes.pop("seed", self.spec.seed))
        job = SegmentJob(start, stop, **{"schedule": constant(LR), **changes})
        try:
            return train(self.program, self.store, spec, job, state)
        except ProgramError as error:
            raise Broken(str(error), SEE) from error

    @cached_property
    def whole(self) -> Trained:
        """The job in one go, evaluated at its end."""
        return self.train(0, self.stop, evaluate=SPLITS)

    @cached_property
    def again(self) -> Trained:
        """The same once more; its last checkpoint is not wanted."""
        return self.train(0, self.stop, evaluate=SPLITS, checkpoint=False)

    def losses(self, stop: int) -> Any:
        """Of a job of so many steps in one go."""
        return self.whole.losses if stop == self.stop else self.train(0, stop, checkpoint=False).losses

    @cached_property
    def noise(self) -> float:
        """By what share two starts of the same job differ."""
        return gap(self.whole.losses, self.again.losses)

    @property
    def allowed(self) -> float:
        return max(TINY, SURE * self.noise)

    def close(self) -> None:
        shutil.rmtree(self.store.path)


def gap(one: Any, other: Any) -> float:
    """The largest difference of two series, as a share of the mean of the first; +inf where one is not finite."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if np.array_equal(one, other, equal_nan=True):
        return 0.0
    found = float(np.abs(one - other).max() / max(float(np.abs(one).mean()), 1e-30))
    return found if np.isfinite(found) else float("inf")


def share(part: float) -> str:
    """A share in words.

    >>> share(0.0), share(0.00123)
    ('nothing: the same bits', '0.12 %')
    """
    return f"{100 * part:.2g} %" if part else "nothing: the same bits"


def answers(subject: Started) -> str:
    losses, held_out = subject.whole.losses, subject.whole.metrics
    told = ", ".join(f"{split} loss {held_out[split]['loss']:.4g}" for split in SPLITS)
    return f"{subject.stop} steps with losses from {losses[0]:.4g} to {losses[-1]:.4g}; {told}"


def repeats(subject: Started) -> str:
    if subject.noise > MOST:
        raise Broken(
            f"two starts of the same job have losses that differ by {share(subject.noise)}",
            "draw first weights, data and dropout by the seed and the step that the job tells",
        )
    return f"two starts of it differ by {share(subject.noise)}"


def goes_on(subject: Started) -> str:
    (*cuts, stop), untried = boundaries(subject)
    if not cuts:
        raise Untold("a run of one step cannot be cut")
    losses, state, start = list[float](), None, 0
    for end in (*cuts, stop):
        part = subject.train(start, end, state, checkpoint=end < stop)
        losses, state, start = [*losses, *part.losses], part.state, end
    whole = subject.losses(stop)
    found, where = gap(whole, losses), f"cut at {' and '.join(map(str, cuts))}, its losses differ by"
    noise = subject.noise
    if found > max(TINY, SURE * noise) and stop > subject.stop:  # small differences grow with the steps
        noise = gap(whole, subject.losses(stop))
    if found > max(TINY, SURE * noise):
        raise Broken(
            f"{where} {share(found)} from those of the whole job, and two starts of that by {share(noise)}",
            "save all that the next step depends on, as the optimizer's state, and draw data by the step's number",
        )
    return f"{where} {share(found)}{untried}"


def boundaries(subject: Started) -> tuple[tuple[int, ...], str]:
    """Steps that a run is cut at and, last, its end; and what of its epochs that leaves untried."""
    stop, epoch = subject.stop, subject.whole.epoch
    ends = tuple(sorted({stop // 3, 2 * stop // 3, stop} - {0}))
    if epoch is None:
        return ends, "; nothing tells how long an epoch is, so that a cut behind the first may not have been tried"
    updates = math.ceil(epoch)
    if (len(ends) > 1 and updates < ends[-2]) or updates + 2 > subject.spec.steps:
        return ends, ""
    if updates > LONGEST:
        return ends, f"; a cut behind the first epoch, of {updates} updates, was not tried: up to {LONGEST} are"
    return (ends[0], updates + 1, min(updates + 4, subject.spec.steps)), ""


def uses_lrs(subject: Started) -> str:
    middle, losses = subject.middle, subject.whole.losses
    if middle + 1 >= subject.stop:
        raise Untold(f"a run of {subject.stop} steps has no loss after an update with another LR")
    higher = PiecewiseLinear(tuple({0: LR, middle - 1: LR, middle: HIGHER * LR}.items()))
    other = subject.train(0, subject.stop, schedule=higher, checkpoint=False).losses
    before, after = gap(losses[: middle + 1], other[: middle + 1]), gap(losses[middle + 1 :], other[middle + 1 :])
    if not after:
        raise Broken(
            f"with {HIGHER} times the LR from step {middle} on, its losses are the same", "set the LR that it is told"
        )
    if before > subject.allowed:
        raise Broken(
            f"another LR from step {middle} on changes losses before it by {share(before)}",
            "loss t is that of batch t before update t, and update t takes LR t; the first of each is the job's first",
        )
    if after <= subject.allowed:
        raise Untold(f"{HIGHER} times the LR changes its losses by {share(after)}, as much as two starts differ by")
    return f"with {HIGHER} times the LR from step {middle} on, its losses differ by {share(after)} from there"


def evaluates_checkpoints(subject: Started) -> str:
    stop = subject.stop
    found = subject.train(stop, stop, subject.whole.state, evaluate=SPLITS, checkpoint=False)
    one, other = ([each.metrics[split]["loss"] for split in SPLITS] for each in (subject.whole, found))
    if (apart := gap(one, other)) > max(subject.allowed, gap(one, [subject.again.metrics[s]["loss"] for s in SPLITS])):
        raise Broken(
            f"its last checkpoint has held-out losses that differ by {share(apart)} from those at the end of the job",
            "save all that is evaluated, and evaluate on the same data each time, without dropout",
        )
    return f"held-out losses of its last checkpoint differ by {share(apart)}"


def splits_differ(subject: Started) -> str:
    validation, test = (subject.whole.metrics[split]["loss"] for split in SPLITS)
    if validation == test:
        raise Broken(f"both have loss {test:.6g}", "evaluate on data of their own: choices are made by the one of them")
    return f"validation {validation:.6g}, test {test:.6g}"


def heeds_seed(subject: Started) -> str:
    other = subject.train(0, subject.middle, seed=subject.spec.seed + 1, checkpoint=False).losses
    if not (apart := gap(subject.whole.losses[: subject.middle], other)):
        raise Untold("another seed gives the same losses, so that --seeds would tell nothing")
    return f"another seed changes its losses by {share(apart)}"


RULES = (
    Rule("answer", "it does a job, and answers", answers),
    Rule("same job", "the same job has the same losses, near enough", repeats, ("answer",)),
    Rule("lr", "the LRs are used, each in its step", uses_lrs, ("answer", "same job")),
    Rule("checkpoint", "a run that is cut and goes on is the whole run", goes_on, ("answer", "same job", "lr")),
    Rule("evaluation", "a checkpoint holds all that is evaluated", evaluates_checkpoints, ("answer",)),
    Rule("splits", "validation and test are other data", splits_differ, ("answer",)),
    Rule("seed", "the seed decides the losses", heeds_seed, ("answer",)),
)


def started(program: Program, spec: TrainSpec) -> Started:
    """A program with a store of its own for the time of a check."""
    return Started(program, spec, Store(Path(tempfile.mkdtemp(prefix="lrctl-check-"))))
