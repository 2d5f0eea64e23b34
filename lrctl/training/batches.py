"""Batches of any shape: tensors alone or in tuples, lists and dicts. Moved to a device, counted, cut into pieces.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch

from lrctl.errors import UsageError


def to(batch: Any, device: torch.device) -> Any:
    if device.type == "cpu":
        return batch

    def move(tensor: torch.Tensor) -> torch.Tensor:
        pinned = tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor
        return pinned.to(device, non_blocking=True)

    return mapped(batch, move)


def rows(batch: Any) -> int | None:
    """The length that all tensors of a batch have in their first dimension; None if they share none."""
    lengths = {len(tensor) if tensor.dim() else None for tensor in tensors_in(batch)}
    return lengths.pop() if len(lengths) == 1 else None


def cut(batch: Any, start: int, stop: int) -> Any:
    return mapped(batch, lambda tensor: tensor[start:stop])


def pieces(batch: Any, n: int, where: str, weight: Callable[[Any], float | None] = rows) -> list[tuple[Any, float]]:
    """A batch cut into n pieces along its first dimension, each with its share of the batch's weight.

    The pieces are as long as each other, to within a row; the first is never shorter than another.
    """
    length = rows(batch)
    if length is None:
        shapes = [tuple(tensor.shape) for tensor in tensors_in(batch)]
        raise UsageError(
            f"{where}: training.micro_batches = {n} cuts batches along their first dimension, but the tensors of this "
            f"one share none: their shapes are {shapes}; set it to 1"
        )
    if length < n:
        raise UsageError(f"{where}: it has {length} rows, fewer than training.micro_batches = {n}; set it to {length}")
    starts = [-(-length * i // n) for i in range(n + 1)]
    found = [cut(batch, start, stop) for start, stop in pairwise(starts)]
    weights = [float(weight(piece) or 0) for piece in found]
    if not sum(weights) > 0:
        raise UsageError(f"{where}: its pieces weigh {sum(weights):g} in all; the workload's weight() must be above 0")
    return [(piece, share / sum(weights)) for piece, share in zip(found, weights, strict=True)]


def mapped(batch: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A batch, or what else holds tensors, with each of them changed; whatever else is in it stays."""
    if isinstance(batch, torch.Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: mapped(item, change) for name, item in batch.items()}
    if isinstance(batch, list | tuple):
        items = [mapped(item, change) for item in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)  # a named tuple or a plain one
    return batch


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(item)
