"""Which parameters of a network weight decay is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def matrices_decay(model: torch.nn.Module) -> list[dict[str, Any]]:
    """Two param groups: weight decay for matrices, embeddings and convolutions; biases and norms go without."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2]},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
