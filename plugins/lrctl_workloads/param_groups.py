"""Which parameters of a network weight decay is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def matrices_decay(model: torch.nn.Module) -> list[dict[str, Any]]:
    """Two param groups: weight decay for matrices, embeddings and convolutions; biases and norms go without.

    That is the rule of transformers' `Trainer`, but for batch norms, which decay there.
    """
    groups: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim >= 2 and "bias" not in name].append(parameter)
    return [{"params": groups[True]}, {"params": groups[False], "weight_decay": 0.0}]
