"""A recipe's train spec: its data made ready, its device chosen, its surroundings written down."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten
from typing import Any

from lrctl._version import __version__
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.workload import WithOptimizer, Workload
from lrctl.errors import UsageError
from lrctl.recipe.plugin_code import family_code
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import content_digest, load_workload


def prepare(recipe: Recipe) -> TrainSpec:
    """The spec of a recipe, with its data made ready and its device chosen.

    Raises:
        UsageError: the workload or device cannot be used, or the optimizer is settled twice.
        MissingError: data or a model is not here, and cannot be fetched.
    """
    workload = load(recipe)
    return spec_of(recipe, workload, content_digest(recipe.workload.name, workload))


def load(recipe: Recipe) -> Workload:
    if recipe.refused:
        raise UsageError(recipe.refused)
    return load_workload(recipe.workload.name, recipe.workload.changed, recipe.training.seed)


def spec_of(recipe: Recipe, workload: Workload | None, content: str) -> TrainSpec:
    """The spec of a recipe, with its device chosen."""
    training, choice = recipe.training, recipe.workload
    brings_own = recipe.run_spec.optimizer is None if workload is None else isinstance(workload, WithOptimizer)
    own = brings_own and recipe.optimizer.auto
    if own and recipe.optimizer.given:
        raise UsageError(
            f"{recipe.source}: optimizer: workload {choice.name} brings its own optimizer, so these settings would be "
            "ignored; leave them out, or set optimizer.name to train with another optimizer instead"
        )
    return TrainSpec(
        workload=choice.name,
        workload_params=choice.changed,
        content=content,
        seed=training.seed,
        optimizer=None if own else recipe.optimizer.settings,
        device=resolve_device(training.device),
        dtype=training.dtype,
        threads=training.threads,
        micro_batches=training.micro_batches,
        compile=training.compile,
        tf32=training.tf32,
        deterministic=training.deterministic,
        families=family_code(),
    )


def resolve_device(name: str) -> str:
    """The device that `auto` stands for, or the one named if torch has it."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = shorten(str(error), 120, placeholder=" ...")
        here = ["cpu", *(["cuda"] * torch.cuda.is_available()), *(["mps"] * torch.backends.mps.is_available())]
        raise UsageError(
            f"--device {name}: cannot be used here: {reason}; choose {' or '.join(here)}, or leave it out"
        ) from error
    return name


def environment(spec: TrainSpec | None) -> dict[str, Any]:
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
        **({"device": spec.device, "threads": spec.threads} if spec else {}),
    }
