"""What a program keeps from job to job: the states of its objects, random numbers, and how far its data were read.

Imports torch.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lrctl.errors import UsageError
from lrctl.storage import checkpoint


def random_state() -> dict[str, Any]:
    """Of Python, numpy and torch, as checkpoints take it."""
    name, keys, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": (name, np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore_random(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


class Resumable:
    """A data loader that goes on where a checkpoint was made: the batches of the epoch that were read are passed over.

    The order of an epoch is drawn anew from the random numbers that it was drawn from.
    """

    def __init__(self, loader: Any, done: Callable[[], bool] = lambda: False) -> None:
        self.loader, self.done = loader, done
        self.begun, self.drawn = random_state(), 0
        self.position: Mapping[str, Any] | None = None
        self.now: Mapping[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # where it is copied, and has none yet
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        if self.done():  # the position is that of the epoch before
            return iter(())
        position, self.position = self.position, None
        if position:
            self.begun, self.drawn, self.now = position["begun"], position["drawn"], position["now"]
            return self.resumed()
        self.catch_up()
        self.begun, self.drawn = random_state(), 0
        return self.rest(iter(self.loader))

    def resumed(self) -> Iterator[Any]:
        """The epoch from the checkpoint on; begun with its first batch, as only then a sampler may know its epoch."""
        restore_random(self.begun)
        batches = iter(self.loader)
        for _ in range(self.drawn):
            next(batches, None)
        self.catch_up()
        yield from self.rest(batches)

    def rest(self, batches: Iterator[Any]) -> Iterator[Any]:
        while not self.done():
            try:
                batch = next(batches)
            except StopIteration:
                return
            self.drawn += 1
            yield batch

    def catch_up(self) -> None:
        """Have the random numbers of the checkpoint, once what was read is passed over."""
        if self.now:
            restore_random(self.now)
            self.now = None

    def state_dict(self) -> dict[str, Any]:
        return {"begun": self.begun, "drawn": self.drawn, "now": random_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.position = state


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
        folder, rank = Path(path), os.environ.get("RANK") or "0"
        folder.mkdir(exist_ok=True)
        loaders = [loader.state_dict() for loader in self.loaders]
        checkpoint.save(folder / f"rank-{rank}.safetensors", {"loaders": loaders, "random": random_state()})
        if rank != "0":
            return
        states = {n: dict(p) if isinstance(p, MutableMapping) else p.state_dict() for n, p in self.parts.items()}
        try:
            checkpoint.save(folder / "parts.safetensors", plain(states))
        except TypeError as error:
            raise UsageError(f"program: job.keep: {error}; use job.resume(load) and job.save(save) instead") from error

    def load(self, path: str) -> None:
        if not (Path(path) / "parts.safetensors").is_file():
            raise UsageError(
                f"program: job.keep: {path} is no checkpoint of its own: it reads the folder that it wrote itself; for "
                "a file of yours use job.resume(load) and job.save(save) instead (lrctl guide program)"
            )
        states = checkpoint.load(Path(path) / "parts.safetensors")
        for name, part in self.parts.items():
            if isinstance(part, MutableMapping):
                part.update(states[name])
            else:
                part.load_state_dict(states[name])
        own = checkpoint.load(Path(path) / f"rank-{os.environ.get('RANK') or 0}.safetensors")
        for loader, position in zip(self.loaders, own["loaders"], strict=True):
            loader.load_state_dict(position)
        restore_random(own["random"])


def plain(value: Any) -> Any:
    """Mappings of any kind as dicts, since a model's state is an OrderedDict."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
