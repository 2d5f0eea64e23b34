"""A recipe's train spec: its data made ready, its device chosen, its surroundings written down."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from textwrap import shorten
from typing import Any

from lrctl._version import __version__
from lrctl.contracts.executor import visible_gpus
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.params import identity
from lrctl.contracts.program import OWN_DEVICE, Program
from lrctl.contracts.workload import Sized, Told, WithOptimizer, Workload
from lrctl.errors import UsageError
from lrctl.recipe.plugin_code import family_code
from lrctl.recipe.project import running
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import content_digest, is_program, load_any


def prepare(recipe: Recipe) -> TrainSpec:
    """The spec of a recipe, with its data made ready and its device chosen.

    Raises:
        UsageError: the workload or device cannot be used, or the optimizer is settled twice.
        MissingError: data or a model is not here, and cannot be fetched.
    """
    workload = load(recipe)
    spec = spec_of(recipe, workload, content_digest(recipe.workload.name, workload))
    told = workload.export_settings() if isinstance(workload, Told) else {}
    return replace(spec, epoch=epoch_of(workload), told=told)


def epoch_of(workload: Workload | Program) -> float | None:
    """The updates in one pass through a workload's training data, which are ready."""
    with running(workload):
        return workload.steps_per_epoch() if isinstance(workload, Sized) else None


def load(recipe: Recipe) -> Workload | Program:
    if recipe.refused:
        raise UsageError(recipe.refused)
    choice = recipe.workload
    return load_any(choice.name, choice.changed | choice.unkeyed, recipe.training.seed)


def spec_of(recipe: Recipe, workload: Workload | Program | None, content: str) -> TrainSpec:
    """The spec of a recipe, with its device chosen."""
    training, choice = recipe.training, recipe.workload
    program = is_program(choice.name)
    if program:
        check_heeded(recipe)
    brings_own = recipe.run_spec.optimizer is None if workload is None else isinstance(workload, WithOptimizer)
    own = program or (brings_own and recipe.optimizer.auto)
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
        device=device_of(recipe),
        dtype=training.dtype,
        threads=training.threads,
        micro_batches=training.micro_batches,
        compile=training.compile,
        tf32=training.tf32,
        deterministic=training.deterministic,
        averaging=training.averaging,
        steps=training.steps if program else 0,
        workload_unkeyed=choice.unkeyed,
        families=family_code(),
    )


def check_heeded(recipe: Recipe) -> None:
    """Refuse settings that a program decides itself, and would not heed."""
    training = recipe.training
    own = identity(training).keys() - {"steps", "seed", "stop_early"} | (
        {"device"} if training.device != "auto" else set()
    )
    for key in [*(f"training.{name}" for name in sorted(own)), *(["optimizer"] if recipe.optimizer.given else [])]:
        raise UsageError(
            f"{recipe.source}: {key}: workload {recipe.workload.name} is a program, which decides that itself; leave "
            "it out, and say it in the program's own command"
        )


def device_of(recipe: Recipe) -> str:
    """The device of a recipe's jobs: a program's own, which lrctl does not know, or the one that it names."""
    if not is_program(recipe.workload.name):
        return resolve_device(recipe.training.device)
    if not (gpus := recipe.workload.unkeyed.get("gpus")):
        return OWN_DEVICE
    if (seen := len(visible_gpus())) < gpus:
        raise UsageError(f"{recipe.source}: workload.gpus: must be at most the {seen} GPUs that lrctl sees, got {gpus}")
    return f"{OWN_DEVICE}:{gpus}"


def resolve_device(name: str) -> str:
    """The device that `auto` stands for, or the one named if torch has it."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    here = ["cpu", *(["cuda"] * torch.cuda.is_available()), *(["mps"] * torch.backends.mps.is_available())]
    if name.lower() in ("gpu", "nvidia"):
        raise UsageError(f"--device {name}: a GPU is called cuda; here there is {' and '.join(here)}")
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        reason = shorten(str(error), 120, placeholder=" ...")
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
        **({"device": spec.device, "threads": spec.threads, "own_optimizer": spec.optimizer is None} if spec else {}),
        **({"workload": dict(spec.told)} if spec and spec.told else {}),
    }
