"""What every contender is given, and what it gives back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import Workload
from lrctl.engine.prepare import prepare
from lrctl.recipe import parse as recipe
from lrctl.recipe.task_workload import workload_of


@dataclass(frozen=True)
class Contest:
    """One seed of one recipe.

    Attributes:
        steps: of one run, which every contender ends with.
        budget: a rival begins another run as long as it has trained fewer steps than that, and ends the run: it never
            gets less. 0 where the contender has a plan of its own.
    """

    recipe: str
    steps: int
    seed: int
    budget: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings that the contest fixes; lrctl too gets one process."""
        return {"training.steps": self.steps, "training.seed": self.seed, "executor.name": "serial"}

    @property
    def runs(self) -> int:
        """The budget in whole runs."""
        return math.ceil(self.budget / self.steps)

    @cached_property
    def spec(self) -> TrainSpec:
        """What is trained: workload, optimizer and precision."""
        return prepare(recipe.read(self.recipe, self.settings))

    @cached_property
    def workload(self) -> Workload:
        """Model and data."""
        found = workload_of(self.spec)
        assert isinstance(found, Workload)
        return found

    @cached_property
    def passes(self) -> float:
        """What evaluating the validation split costs, in forward passes of one training batch."""
        model, rows = self.workload.model().to(self.spec.device), []

        def count(_: object, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            rows.append(next(len(each) for each in (*given, *named.values()) if isinstance(each, torch.Tensor)))

        model.register_forward_pre_hook(count, with_kwargs=True)
        with torch.no_grad():
            self.workload.loss(model, self.workload.batch(0))
            batch = rows.pop()
            self.workload.evaluate(model.eval(), "validation")
        return sum(rows) / batch


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender came to.

    Attributes:
        test_loss: of the model that it chose by validation or training loss.
        steps_trained: in all.
        forwards: forward passes of one batch each, beyond those of training, that its choices took. Evaluating the
            test split, which is for the report only, is not counted.
        checkpoint_bytes: the most that its checkpoints took on disk at a time.
        chosen: what it chose.
    """

    test_loss: float
    validation_loss: float
    steps_trained: int
    forwards: int
    checkpoint_bytes: int
    chosen: Mapping[str, Any]
