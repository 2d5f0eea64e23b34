"""What training and evaluating a network has in common, whatever the workload."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import torch

# Names of types, for modules that must not import numpy and torch themselves.
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Module: TypeAlias = "torch.nn.Module"
Optimizer: TypeAlias = "torch.optim.Optimizer"
Tensor: TypeAlias = "torch.Tensor"
Batch: TypeAlias = "tuple[Tensor, Tensor]"
"""Inputs and what is to be predicted of them."""


def matrices_decay(model: Module) -> list[dict[str, Any]]:
    """Two param groups: weight decay for matrices, embeddings and convolutions; biases and norms go without.

    That is the rule of transformers' `Trainer`, but for batch norms, which decay there.
    """
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim >= 2 and "bias" not in name].append(parameter)
    return [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode without gradients, for the length of a block; the mode is put back."""
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def check_split(split: str) -> None:
    if split not in ("validation", "test"):
        raise ValueError(f"split: must be 'validation' or 'test', got '{split}'")


def score_rows(i: int, batch_size: int, reserve: int) -> range:
    """Which of the samples that are reserved for scoring batch i holds; IndexError where there are no more."""
    n = reserve // batch_size
    if not 0 <= i < n:
        raise IndexError(f"score batch {i} of {n}")
    return range(i * batch_size, (i + 1) * batch_size)
