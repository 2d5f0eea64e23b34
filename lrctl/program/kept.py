"""What a program keeps from job to job: the states of its objects, random numbers, and how far its data were read.

Imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lrctl.errors import UsageError
from lrctl.program.random_numbers import GPUS, gpus, own_gpu, random_state, restore_random
from lrctl.program.resumable import Resumable, together
from lrctl.storage import checkpoint

RANKS = "rank-{}.safetensors"


class Kept:
    """Objects with a `state_dict`, and dicts, as one folder."""

    def __init__(self, parts: Mapping[str, Any], loaders: Sequence[Resumable]) -> None:
        for name, part in parts.items():
            if not (isinstance(part, MutableMapping) or hasattr(part, "load_state_dict")):
                raise UsageError(
                    f"program: job.keep({name}=...): {type(part).__name__} has no state_dict and load_state_dict; give "
                    "an object that has both, or a dict"
                )
        self.parts, self.loaders = parts, loaders

    def save(self, path: str) -> None:
        """Write a folder: the states once, and what each of several processes has of its own."""
        folder = Path(path)
        folder.mkdir(exist_ok=True)
        loaders = [loader.state_dict() for loader in self.loaders]
        checkpoint.save(folder / rank_file(), {"loaders": loaders, "random": random_state()})
        if rank_file() != RANKS.format(0):
            return
        states = {n: dict(p) if isinstance(p, MutableMapping) else p.state_dict() for n, p in self.parts.items()}
        try:
            kept = plain(states)
            checkpoint.save(folder / "parts.safetensors", {"states": kept, "places": places(kept)})
        except TypeError as error:
            raise UsageError(f"program: job.keep: {error}; use job.resume(load) and job.save(save) instead") from error

    def load(self, path: str) -> None:
        if not (Path(path) / "parts.safetensors").is_file():
            raise UsageError(
                f"program: job.keep: {path} is no checkpoint of its own: it reads the folder that it wrote itself; for "
                "a file of yours use job.resume(load) and job.save(save) instead (lrctl guide program)"
            )
        kept = checkpoint.load(Path(path) / "parts.safetensors")
        states = placed(kept["states"], kept["places"])
        for name, part in self.parts.items():
            if isinstance(part, MutableMapping):
                part.update(states[name])
            else:
                part.load_state_dict(states[name])
        own = checkpoint.load(self.own(path))
        for loader, position in zip(self.loaders, together(own["loaders"]), strict=True):
            loader.load_state_dict(position)
        restore_random(own["random"])

    def own(self, path: str) -> Path:
        """What this process has of its own in a checkpoint."""
        own, saved = Path(path) / rank_file(), len(list(Path(path).glob(RANKS.format("*"))))
        if not own.is_file() or int(os.environ.get("WORLD_SIZE") or saved) != saved:
            raise UsageError(
                f"program: job.keep: the checkpoint was saved by {saved} processes, each of which has random numbers "
                "and a position of its own in it; start as many as before"
            )
        return own


def rank_file() -> str:
    return RANKS.format(os.environ.get("RANK") or 0)


def plain(value: Any) -> Any:
    """Mappings of any kind as dicts, since a model's state is an OrderedDict."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def places(value: Any) -> Any:
    """On what kind of device each tensor is, in the place of the tensors; None for all else."""
    if isinstance(value, dict):
        return {name: places(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [places(each) for each in value]
    return kind_of(value) if isinstance(value, torch.Tensor) else None


def placed(value: Any, kinds: Any) -> Any:
    """A state whose tensors are where they were: of GPUs on that of this process, without one on the CPU."""
    if isinstance(value, dict):
        return {name: placed(each, kinds[name]) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(placed, value, kinds))
    if kinds in GPUS:
        module = gpus().get(kinds)
        kinds = f"{kinds}:{own_gpu(module)}" if module else "cpu"
    return value if kinds is None else value.to(kinds)


def kind_of(tensor: torch.Tensor) -> str:
    return tensor.device.type
