"""A recipe's task: its data made ready, its device chosen, its surroundings written down."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten
from typing import Any

from lrctl import __version__
from lrctl.errors import UsageError
from lrctl.job import Task
from lrctl.loading import content_digest, load_workload
from lrctl.optimizer import AUTO
from lrctl.recipe import Recipe
from lrctl.workload import WithOptimizer


def prepare(recipe: Recipe) -> Task:
    """The task of a recipe, with its data made ready and its device chosen.

    Raises:
        UsageError: the workload or device cannot be used, or the optimizer is settled twice.
    """
    if recipe.refused:
        raise UsageError(recipe.refused)
    training, choice = recipe.training, recipe.workload
    workload = load_workload(choice.name, choice.params, training.seed)
    own = isinstance(workload, WithOptimizer) and recipe.optimizer.name == AUTO
    if own and recipe.optimizer_given:
        raise UsageError(
            f"{recipe.source}: optimizer: workload {choice.name} brings its own optimizer, so these settings would be "
            "ignored; leave them out, or set optimizer.name to train with another optimizer instead"
        )
    return Task(
        workload=choice.name,
        workload_params=choice.params,
        content=content_digest(choice.name, workload),
        seed=training.seed,
        optimizer=None if own else recipe.named_optimizer,
        device=resolve_device(training.device),
        dtype=training.dtype,
        threads=training.threads,
    )


def resolve_device(name: str) -> str:
    """The device that `auto` stands for, or the one named if torch has it.

    Raises:
        UsageError: torch does not know it or cannot use it.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = shorten(str(error), 120, placeholder=" ...")
        raise UsageError(f"--device {name}: cannot be used here: {reason}; choose cpu, or leave it out") from error
    return name


def environment(task: Task | None) -> dict[str, Any]:
    """What ran the search: versions, machine and, where something is trained, device."""
    packages = {}
    for package in ("torch", "numpy", "safetensors", "datasets", "tiktoken"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed"
    return {
        "lrctl": __version__,
        "python": platform.python_version(),
        **packages,
        "platform": platform.platform(),
        "processor": platform.machine(),
        **({"device": task.device, "threads": task.threads} if task else {}),
    }
