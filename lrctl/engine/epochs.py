"""The length of a run in epochs, turned into steps before anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrctl.contracts.workload import Prepared, Sized
from lrctl.documents import LONGEST_RUN
from lrctl.engine.prepare import load
from lrctl.errors import LrctlError, UsageError
from lrctl.recipe.project import running
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import origin

STEPS = "training.steps"
UNKNOWN = LONGEST_RUN
"""Stands for the steps of a recipe until its workload has told how many they are, since all that is within a run is
within the longest."""


def without_steps(overrides: Mapping[str, Any], epochs: float | None) -> dict[str, Any]:
    """What overrides a recipe that is to be as long as so many epochs; None is as long as it says.

    Raises:
        UsageError: the steps are given too, or the epochs are no length.
    """
    if epochs is None:
        return dict(overrides)
    if STEPS in overrides:
        raise UsageError(f"--epochs {epochs:g}: the steps of the run are given too; leave one of them out")
    if not (math.isfinite(epochs) and epochs > 0):
        raise UsageError(f"--epochs {epochs:g}: must be a number greater than 0, such as 3")
    return {**overrides, STEPS: UNKNOWN}


def in_epochs(recipe: Recipe, epochs: float | None) -> Recipe:
    """The recipe as long as so many epochs of its workload's training data, rounded up to whole steps.

    Raises:
        UsageError: the workload does not know how long an epoch is, or the run that is under way is as long already.
    """
    if epochs is None:
        return recipe
    # What floats add to a whole number of steps is no step.
    wanted = epochs * steps_per_epoch(recipe) * (1 - 1e-12)
    if wanted > LONGEST_RUN:
        raise UsageError(f"--epochs {epochs:g}: a run has at most {LONGEST_RUN:,} steps, and these are {wanted:,.9g}")
    steps = math.ceil(wanted)
    if recipe.start:
        recipe.start.check_within(steps, recipe.source)
    return replace(recipe, training=replace(recipe.training, steps=max(1, steps)))


def steps_per_epoch(recipe: Recipe) -> float:
    workload, name = load(recipe), recipe.workload.name
    if not isinstance(workload, Sized):
        raise UsageError(
            f"--epochs: workload {name} does not know how many steps an epoch has; give --steps, or add a method "
            "steps_per_epoch() to it"
        )
    try:
        with running(workload):
            if isinstance(workload, Prepared):
                workload.prepare()
            found = float(workload.steps_per_epoch())
    except LrctlError:
        raise
    except Exception as error:
        raised = f"{type(error).__name__}: {error}{origin(error, name)}"
        raise UsageError(f"--epochs: workload {name}: steps_per_epoch() raised {raised}; mend it") from error
    if not (math.isfinite(found) and found > 0):
        raise UsageError(f"--epochs: workload {name}: steps_per_epoch() must be greater than 0, got {found:g}")
    return found
