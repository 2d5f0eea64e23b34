"""What is done to an optimizer around its steps: its state restored, its mode switched, its gradients cleared.

Imports torch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch

from lrctl.training.batches import mapped, tensors_in


def restore(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load what `optimizer.state_dict()` gave, which is left as it is; every tensor keeps its type."""
    # torch's optimizers keep the tensors they are given: without the copy, siblings would share moments.
    optimizer.load_state_dict(copy.deepcopy(dict(state)))
    if not isinstance(optimizer, torch.optim.Optimizer):
        return
    saved = [key for group in state["param_groups"] for key in group["params"]]
    for key, parameter in zip(saved, (p for group in optimizer.param_groups for p in group["params"]), strict=True):
        own = optimizer.state.get(parameter, {})
        for name, value in state["state"].get(key, {}).items():
            # torch casts them to the type of the parameter: float32 masters of bfloat16 weights would be lost.
            if name in own and types(own[name]) != types(value):
                own[name] = mapped(copy.deepcopy(value), partial(torch.Tensor.to, device=parameter.device))


def types(value: Any) -> list[torch.dtype]:
    return [tensor.dtype for tensor in tensors_in(value)]


def switch(optimizer: Any, mode: str) -> None:
    """Call `optimizer.train()` or `optimizer.eval()`, where it has other weights for each (schedule-free)."""
    if hasattr(optimizer, mode):
        getattr(optimizer, mode)()


def clear_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """What `zero_grad()` does, without its checks and profiling hooks, which take 5 us at every step."""
    for parameter in parameters:
        parameter.grad = None
