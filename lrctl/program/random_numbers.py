"""Random numbers as a program's checkpoints keep them: those of the process, and those that data have of their own.

Imports torch.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lrctl.errors import UsageError

PARTS = ("sampler", "batch_sampler", "dataset", "collate_fn", "base_dataloader")
"""Attributes of a loader, whatever their class, that may have generators."""

GPUS = ("cuda", "mps")
"""Kinds of GPU, as torch calls them."""

KINDS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


def random_state() -> dict[str, Any]:
    """Of Python, numpy and torch, as checkpoints take it."""
    here = gpus()
    return {
        "python": random.getstate(),
        "numpy": listed(np.random.get_state()),
        "torch": torch.get_rng_state(),
        **{kind: [each.get_rng_state(gpu) for gpu in range(each.device_count())] for kind, each in here.items()},
        "gpu": max(map(own_gpu, here.values()), default=0),
    }


def restore_random(state: Mapping[str, Any]) -> None:
    """Of GPUs as far as there are so many now. What this process's own GPU had goes to its own, whichever that is."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    for kind, module in gpus().items():
        if states := state.get(kind):
            for gpu, each in enumerate(states[: module.device_count()]):
                module.set_rng_state(each, gpu)
            module.set_rng_state(states[state["gpu"]], own_gpu(module))


def gpus() -> dict[str, Any]:
    """What torch has for the GPUs that there are, by their kind."""
    there = zip(GPUS, (torch.cuda.is_available(), torch.backends.mps.is_available()), strict=True)
    return {kind: torch.get_device_module(kind) for kind, found in there if found}


def own_gpu(module: Any) -> int:
    """The GPU of this process: that of its `LOCAL_RANK` where it sees those of all processes, else its current one."""
    local = int(os.environ.get("LOCAL_RANK") or 0)
    if 0 < local < module.device_count():
        return local
    return int(module.current_device()) if hasattr(module, "current_device") else 0  # of MPS there is but one


def parts(loader: Any) -> Iterator[tuple[str, Any]]:
    """A loader, its samplers and its data, each with its place in it."""
    waiting, seen = [("", loader)], set[int]()
    while waiting:
        place, part = waiting.pop(0)
        owner = getattr(part, "__self__", part)  # of a method
        yield place, owner
        for name, value in getattr(owner, "__dict__", {}).items():
            if id(value) not in seen and (name in PARTS or isinstance(value, DataLoader | Dataset | Sampler)):
                waiting.append((f"{place}{name}.", value))
                seen.add(id(value))


def generators(loader: Any) -> dict[str, Any]:
    """The generators that a loader, its samplers and its data have of their own, by their place in it."""
    found, seen = dict[str, Any](), set[int]()
    for place, part in parts(loader):
        for name, value in getattr(part, "__dict__", {}).items():
            if isinstance(value, KINDS) and not isinstance(value, random.SystemRandom) and id(value) not in seen:
                found[place + name] = value
                seen.add(id(value))
    return found


def epoch_of(loader: Any) -> int | None:
    """The epoch that a sampler of the loader was told, one within another too; None where none is told one."""
    for place, part in parts(loader):
        found = getattr(part, "epoch", None)
        if isinstance(found, int) and (place.endswith("sampler.") or isinstance(part, Sampler)):
            return found
    return None


def own_states(loader: Any) -> dict[str, Any]:
    """The states of a loader's generators, as checkpoints take them."""
    return {place: state_of(generator) for place, generator in generators(loader).items()}


def restore_own(loader: Any, states: Mapping[str, Any]) -> None:
    """Put a loader's generators into the states of a checkpoint.

    Raises:
        UsageError: the loader has no such generator.
    """
    there = generators(loader)
    for place, state in states.items():
        if place not in there:
            raise UsageError(
                f"program: the checkpoint has the state of {place} of {type(loader).__name__}, which has no such "
                "generator at the beginning of this job; make it before the loader is read"
            )
        set_state(there[place], state)


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return listed(generator.bit_generator.state)
    return generator.getstate() if isinstance(generator, random.Random) else listed(generator.get_state())


def set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def listed(value: Any) -> Any:
    """A state with lists in place of numpy's arrays."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {name: listed(each) for name, each in value.items()}
    return tuple(map(listed, value)) if isinstance(value, tuple) else value
