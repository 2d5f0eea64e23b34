"""What comes in through the methods of a user's workload, checked where it enters.

Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch

from lrctl.analysis.described import described
from lrctl.errors import UsageError


def checked_model(model: Any, where: str) -> torch.nn.Module:
    """A workload's model, in training mode but for the parts of it that were handed over in evaluation mode.

    Raises:
        UsageError: it is no module.
    """
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"{where}.model: must return a torch.nn.Module, got {described(model)}")
    return model if model.training else model.train()  # as a pretrained model comes


def checked_loss(outcome: Any, where: str) -> torch.Tensor:
    """The loss in what a workload's `loss` returned, as a scalar that a gradient can be computed of.

    That is a scalar tensor alone, under `loss` in a dict or an object, or as the only one in a tuple.

    Raises:
        UsageError: there is none, or several that could be it.
    """
    found: list[torch.Tensor] = [each for each in outcomes(outcome) if is_scalar(each)]
    if len(found) == 1:
        return found[0].reshape(())
    hint = "return its mean" if isinstance(outcome, torch.Tensor) else "return the loss itself, a tensor"
    raise UsageError(
        f"{where}.loss: must return a scalar tensor, alone, as the only one of a tuple, or as 'loss' of a dict or an "
        f"object, got {described(outcome)}; {hint}"
    )


def checked_metrics(outcome: Any, where: str) -> dict[str, float]:
    """The metrics that a workload's `evaluate` returned, as numbers; one that is not finite is +inf.

    A number alone is the loss; so is one beside a dict of other metrics.

    Raises:
        UsageError: they are no numbers by name, or none is named loss.
    """
    metrics = by_name(outcome)
    if metrics is None or "loss" not in metrics:
        raise UsageError(
            f"{where}.evaluate: must return metrics by name, 'loss' among them, or the loss alone, got "
            f"{described(outcome)}; return {{'loss': ...}}"
        )
    try:
        return {str(name): finite(float(value)) for name, value in metrics.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{where}.evaluate: must return a number for each metric: {error}") from error


def outcomes(outcome: Any) -> Sequence[Any]:
    """What could be the loss in what `loss` returned."""
    if isinstance(outcome, Mapping):
        return [outcome.get("loss")]
    if (own := getattr(outcome, "loss", None)) is not None:
        return [own]
    if isinstance(outcome, list | tuple):
        return [each for each in outcome if isinstance(each, torch.Tensor) and not each.ndim]
    return [outcome]


def by_name(outcome: Any) -> Mapping[str, Any] | None:
    """What `evaluate` returned as metrics by name, where its meaning is plain."""
    match outcome:
        case Mapping():
            return outcome
        case (loss, Mapping() as others) if is_number(loss) and "loss" not in others:
            return {"loss": loss, **others}
    if is_number(outcome):
        return {"loss": outcome}
    return {"loss": outcome.loss} if is_number(getattr(outcome, "loss", None)) else None


def is_scalar(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.numel() == 1


def is_number(value: Any) -> bool:
    return is_scalar(value) or (isinstance(value, Real) and not isinstance(value, bool))


def finite(value: float) -> float:
    """The value, or +inf for NaN and both infinities: nothing that is not finite is ever the lowest."""
    return value if math.isfinite(value) else math.inf
