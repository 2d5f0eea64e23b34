"""What comes in through the methods of a user's workload, checked where it enters.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from lrctl.errors import UsageError


def checked_model(model: Any, where: str) -> torch.nn.Module:
    """A workload's model, in training mode but for the parts of it that were handed over in evaluation mode.

    Raises:
        UsageError: it is no module.
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"{where}.model: must return a torch.nn.Module, got {described(model)}")
    return model if model.training else model.train()  # as a pretrained model comes


def checked_loss(loss: Any, where: str) -> torch.Tensor:
    """A loss that a gradient can be computed of.

    Raises:
        UsageError: it is no scalar tensor.
    """
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        return loss if loss.ndim == 0 else loss.reshape(())
    hint = "return its mean" if isinstance(loss, torch.Tensor) else "return the loss itself, a tensor"
    raise UsageError(f"{where}.loss: must return a scalar tensor, got {described(loss)}; {hint}")


def checked_metrics(metrics: Any, where: str) -> dict[str, float]:
    """Metrics as numbers; one that is not finite is +inf.

    Raises:
        UsageError: they are no numbers by name, or none is named loss.
    """
    if not isinstance(metrics, Mapping) or "loss" not in metrics:
        raise UsageError(f"{where}.evaluate: must return metrics by name, 'loss' among them, got {described(metrics)}")
    try:
        return {str(name): finite(float(value)) for name, value in metrics.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{where}.evaluate: must return a number for each metric: {error}") from error


def finite(value: float) -> float:
    """The value, or +inf for NaN and both infinities: nothing that is not finite is ever the lowest."""
    return value if math.isfinite(value) else math.inf


def described(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(repr, list(value)[:5])) or 'nothing'}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value) if value is None else f"a {type(value).__name__}"
