"""A run that is under way: its checkpoint becomes the job that a search goes on from.

Imports torch.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lrctl.contracts.canonical import digest
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.workload import Workload
from lrctl.engine.given_optimizer import adopted
from lrctl.errors import ProgramError, UsageError
from lrctl.recipe.project import running
from lrctl.recipe.schema import Recipe
from lrctl.recipe.start import Start
from lrctl.recipe.task_workload import workload_of
from lrctl.recipe.workloads import is_program
from lrctl.storage import checkpoint, foreign, packing
from lrctl.storage.store import Store
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import Training

WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and Lightning put before the name of each tensor."""

FRESH = "the checkpoint holds no state of an optimizer, so its moments begin anew"


def imported(store: Store, recipe: Recipe, spec: TrainSpec) -> tuple[Recipe, tuple[str, ...]]:
    """A recipe with the job that stands for its checkpoint, which the store has from now on; and what to say of it.

    Where the file is gone, it is the job that stood for it before, whose checkpoint `check_kept` asks for.

    Raises:
        UsageError: the file cannot be read, or does not fit the workload, or nobody named it.
    """
    assert recipe.start is not None
    start, path = recipe.start, Path(recipe.start.checkpoint)
    there = os.path.lexists(path)
    known = store.imported(start, spec)
    if known and not (recipe.named and there):
        return replace(recipe, imported=known[0]), known[1]
    if not recipe.named:
        raise UsageError(
            f"{recipe.source}: start.checkpoint: a recipe has no file read; name it yourself with --from {path}"
        )
    if not there:
        raise gone(path)
    state, notes = program_state(path) if is_program(spec.workload) else fitted(foreign.read(path), start, spec)
    told = hashlib.sha256(struct.pack(f"<{len(start.lrs)}d", *start.lrs)).hexdigest()
    key = digest({"imported": checkpoint.digest_of_state(state), "lrs": told})
    store.import_checkpoint(key, state, start.lrs)
    store.note_import(start, spec, key, notes)
    return replace(recipe, imported=key), notes


def check_kept(store: Store, recipe: Recipe) -> None:
    """Refuse a search whose checkpoint is in the store no more, nor where it was."""
    assert recipe.start is not None
    if not store.has_checkpoint(recipe.imported):
        raise gone(Path(recipe.start.checkpoint))


def gone(path: Path) -> UsageError:
    return UsageError(
        f"--from {path}: there is no such file, and the store has no copy of it for this workload and optimizer; see "
        "how it is called"
    )


def program_state(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a program saved: a file or a folder; or what lrctl keeps of it, as a search handed it over."""
    try:
        with path.open("rb") as file:
            own = file.read(9)[8:] == b"{"
    except OSError:
        own = False
    if own and "model" not in (state := foreign.safetensors(path)):
        return state, ()
    try:
        return packing.packed(path), ()
    except ProgramError as error:
        raise UsageError(f"--from {path}: {error}; give what the program saves, and can go on from") from error


def fitted(found: dict[str, Any], start: Start, spec: TrainSpec) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A checkpoint as the trainer goes on from it, tried on the workload's own model and optimizer."""
    path = Path(start.checkpoint)
    if "model" not in found:
        raise UsageError(f"--from {path}: it is what a program saved; give the --program that goes on from it")
    found, notes = averaged(found, start, spec.averaging)
    workload, here = workload_of(spec), replace(spec, device="cpu", compile=False)
    assert isinstance(workload, Workload)
    with running(workload), quiet_torch(spec.threads, "cpu", tf32=False, deterministic=spec.deterministic):
        training = Training(workload, here, SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),))))
        model = unwrapped(found["model"], training.model.state_dict())
        check_model(model, training.model.state_dict(), path)
        own = training.optimizer.state_dict()
        fresh = "optimizer" not in found
        state = {"schedule": None, **found, "model": model, "optimizer": own}
        if not fresh:
            state["optimizer"] = adopted(found["optimizer"], training.optimizer, spec.optimizer, path)
        try:
            training.restore(state)
            checkpoint.digest_of_state(state)
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise UsageError(f"--from {path}: the optimizer cannot go on from its state: {error}") from error
    return state, (*notes, *(FRESH,) * fresh)


def averaged(found: dict[str, Any], start: Start, powers: tuple[float, ...]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A checkpoint without averages that do not go on: those of other powers than are asked for."""
    given = found.get("averages")
    if not (powers and given):
        return found, ()
    if (updates := given["updates"]) != start.at:
        raise UsageError(
            f"--from {start.checkpoint}: its averages of the weights are of {updates} updates, and --at says "
            f"{start.at}; give --at {updates}"
        )
    theirs = sorted(map(float, given["averages"]))
    if theirs == sorted(powers):
        return found, ()
    rest = {name: value for name, value in found.items() if name not in ("averages", "chosen", "evaluated")}
    had, wanted = (", ".join(f"{power:g}" for power in each) for each in (theirs, powers))
    return rest, (f"the checkpoint holds averages of powers {had}, so those of {wanted} begin anew",)


def unwrapped(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors by the model's own names, where a wrapper has put something before each."""
    names = dict(given)
    for prefix in WRAPPERS:
        if own.keys() != names.keys() and all(str(name).startswith(prefix) for name in names):
            names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names


def check_model(given: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    for what, names in (
        ("has no tensor", [name for name in own if name not in given]),
        ("has a tensor that the model has not,", [name for name in given if name not in own]),
    ):
        if names:
            more = f", and {len(names) - 1} more" if len(names) > 1 else ""
            raise UsageError(f"--from {path}: it {what} {names[0]!r}{more}; give the workload that it was trained as")
    for name, tensor in own.items():
        if shape_of(given[name]) != shape_of(tensor):
            raise UsageError(
                f"--from {path}: its {name!r} has shape {shape_of(given[name])}, and the model's {shape_of(tensor)}; "
                "give the workload that it was trained as, with the same sizes"
            )


def shape_of(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
