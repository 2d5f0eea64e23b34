"""Rules that results rest on, each told by a probe: a few steps of training, over and again.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.schedule import Schedule
from lrctl.contracts.workload import Workload
from lrctl.recipe.project import running
from lrctl.training.passes import Passes
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import Trained, train

STEPS, CUT = 7, 2
"""How many steps are trained, and where a run is cut: an optimizer that acts at every fifth step only is noticed."""

LR = 1e-3


class Broken(Exception):  # noqa: N818 - it is an answer
    """A probe's answer: the rule is broken; what was found, and what to do."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(f"{found}; {advice}")
        self.found, self.advice = found, advice


class Untold(Exception):  # noqa: N818 - it is an answer
    """A probe's answer: whether the rule is kept could not be told, and why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the contract of workloads, or of programs.

    Attributes:
        name: a word or two.
        text: the rule as a sentence.
        probe: is given what the rules are tried on. It says what it found where the rule is kept, and raises `Broken`
            or `Untold` otherwise.
        rests_on: rules without which the probe would tell nothing, or the same again.
    """

    name: str
    text: str
    probe: Callable[[Any], str]
    rests_on: tuple[str, ...] = ()


@dataclass
class Subject:
    """A workload that is looked at, and a few steps of it.

    Attributes:
        rebuild: builds it anew; None where nobody knows how.
        elsewhere: gives the losses and metrics of the same steps in another process; None where that cannot build it.
    """

    workload: Workload
    spec: TrainSpec
    rebuild: Callable[[], Workload] | None = None
    elsewhere: Callable[[TrainSpec], tuple[np.ndarray[Any, Any], Any]] | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.spec, self.name = replace(self.spec, compile=False), type(self.workload).__name__

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A block in which the workload's code can run, and torch is as jobs need it."""
        spec = self.spec
        quiet = quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=spec.deterministic)
        with running(self.workload), quiet:
            yield

    @cached_property
    def run(self) -> Trained:
        """The first steps, trained in one go."""
        return self.train()

    @property
    def whole(self) -> np.ndarray[Any, Any]:
        """The losses of the first steps."""
        return self.run.losses

    def train(
        self,
        start: int = 0,
        stop: int = STEPS,
        state: dict[str, Any] | None = None,
        *,
        schedule: Schedule | None = None,
        evaluate: tuple[str, ...] = (),
        workload: Workload | None = None,
    ) -> Trained:
        job = SegmentJob(start, stop, schedule or constant(LR), evaluate=evaluate)
        return train(workload or self.workload, self.spec, job, state)

    def passes(self) -> Passes:
        """A new model, with its passes over batches."""
        return Passes(self.workload, self.spec)

    def trained_passes(self) -> Passes:
        """A model after the first steps: an untrained one may have the same loss on all data."""
        passes = self.passes()
        passes.restore(self.run.state)
        return passes

    def same(self, one: Any, other: Any, *, bits: bool | None = None) -> bool:
        """Whether losses are the same; near where a job that is made again need not give the same bits."""
        if self.spec.exact if bits is None else bits:
            return np.asarray(one).tobytes() == np.asarray(other).tobytes()
        return bool(np.allclose(one, other, rtol=1e-2, equal_nan=True))


def constant(lr: float) -> PiecewiseLinear:
    return PiecewiseLinear(((0, lr),))
