"""Checkpoints that other programs wrote: safetensors, or what `torch.save` made of state dicts.

This is the one place that calls `torch.load`. It reads the file that the user named, and with weights only: tensors,
numbers, text and plain containers, so that no code in it can run.

Imports torch.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from lrctl.errors import CheckpointError, UsageError
from lrctl.storage import checkpoint

MODEL = ("model", "state_dict", "model_state_dict", "module")
"""Under which names programs keep the state dict of the model, and below, that of the optimizer."""

OPTIMIZER = ("optimizer", "optimizer_state_dict", "optimizer_states", "optim")

NO_STATE = "is not what state_dict() of an optimizer of torch's gives; save that, or leave the optimizer out"


def read(path: Path) -> dict[str, Any]:
    """A checkpoint as `{"model": state dict, "optimizer": state dict}`, the optimizer's left out where it has none.

    One that lrctl wrote is given whole.

    Raises:
        UsageError: it cannot be read, or holds no model.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise UsageError(f"--from {path}: cannot be read: {error.strerror}; give the file of a checkpoint") from error
    return safetensors(path) if head[8:] == b"{" else parted(unpickled(path), path)


def safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            if checkpoint.ENTRY not in (file.metadata() or {}):
                return {"model": {name: file.get_tensor(name) for name in file.keys()}}  # noqa: SIM118 - not a dict
        state: dict[str, Any] = checkpoint.load(path)
    except (OSError, SafetensorError, CheckpointError) as error:
        raise UsageError(f"--from {path}: cannot be read: {error}; give a file that is whole") from error
    return state


def unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what it raises of a file that is none of its own is not told anywhere
        raise UsageError(
            f"--from {path}: cannot be read as weights only: {cause(error)}; save the state dicts of the model and the "
            "optimizer alone, with torch.save, or give a safetensors file"
        ) from error


def cause(error: Exception) -> str:
    """What torch says is wrong, without its advice."""
    if not isinstance(error, RuntimeError | pickle.UnpicklingError) or "Unsupported operand" in str(error):
        return "it is no file of torch.save's"
    told = str(error).rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0].partition(". ")[0]
    code = re.match(r"Unsupported (?:global: GLOBAL|class) (\S+)", told)
    return f"it holds {code[1]}, which is neither a tensor nor a number or text" if code else told


def parted(found: Any, path: Path) -> dict[str, Any]:
    """The state dicts of the model and the optimizer, in the layouts that are common."""
    if isinstance(found, Mapping) and found and all(isinstance(each, torch.Tensor) for each in found.values()):
        return {"model": dict(found)}
    parts = found if isinstance(found, Mapping) else {}
    model = next((parts[name] for name in MODEL if isinstance(parts.get(name), Mapping)), None)
    if model is None:
        has = ", ".join(map(str, list(parts)[:5])) or f"a {type(found).__name__}"
        raise UsageError(f"--from {path}: it holds no state dict of a model but {has}; keep that under 'model'")
    several = states([parts[name] for name in OPTIMIZER if name in parts], path)
    if len(several) > 1:
        raise UsageError(f"--from {path}: it holds the states of {len(several)} optimizers; lrctl trains with one")
    return {"model": dict(model)} | ({"optimizer": several[0]} if several and several[0] else {})


def states(found: Sequence[Any], path: Path) -> list[Any]:
    """The state dicts of optimizers, from the first of these that holds any."""
    lists = [list(each) if isinstance(each, list | tuple) else [each] for each in found if each is not None]
    mappings = [each for each in lists if each and all(isinstance(state, Mapping) for state in each)]
    if any(lists) and not mappings:
        raise UsageError(f"--from {path}: the optimizer's state {NO_STATE}")
    return next((each for each in mappings if any(each)), [])
