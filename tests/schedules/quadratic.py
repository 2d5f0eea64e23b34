"""A training run whose gradient is known: each element of two parameters has a parabola of its own, anew for each step.

The loss is separable: no element's gradient depends on another element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.lr_scheduler import AdaptiveLR

STEPS = 30
SHAPES = ((2, 3), (4,))

Make = Callable[[Any], torch.optim.Optimizer]


def start() -> list[Tensor]:
    """The parameters at the beginning, in float64."""
    return [torch.linspace(-1, 2, 6).double().reshape(2, 3), torch.linspace(1, 3, 4).double()]


def parabolas(step: int) -> list[tuple[Tensor, Tensor]]:
    """The curvature and the target of each element at a step, by parameter."""
    random = torch.Generator().manual_seed(step)
    curved = [torch.linspace(0.3, 1.5, torch.Size(shape).numel()).double().reshape(shape) for shape in SHAPES]
    return [(c, 0.2 * torch.randn(c.shape, generator=random, dtype=torch.float64)) for c in curved]


def loss_of(parameters: Sequence[Tensor], step: int, only: Sequence[int] = (0, 1)) -> Tensor:
    """Half the weighted squares, of these parameters out of the two."""
    parts = [parabolas(step)[i] for i in only]
    halves = [0.5 * (c * (p - target).square()).sum() for p, (c, target) in zip(parameters, parts, strict=True)]
    return torch.stack(halves).sum()


def run(
    make: Make, schedule: AdaptiveSchedule, *, only: Sequence[int] = (0, 1), steps: int = STEPS
) -> tuple[list[Any], list[Tensor]]:
    """Train these parameters, with a param group each, in a user's own loop: the LRs of each step, and the end."""
    parameters = [start()[i].requires_grad_() for i in only]
    optimizer = make([{"params": [p]} for p in parameters])
    scheduler, used = AdaptiveLR(optimizer, schedule), []
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(parameters, step, only)
        loss.backward()  # type: ignore[no-untyped-call]
        scheduler.probe(loss)
        elements = scheduler.control.elements
        used.append(scheduler.get_last_lr() if elements is None else torch.cat([lr.flatten() for lr in elements]))
        optimizer.step()
        scheduler.step(loss.item())
    return used, [p.detach() for p in parameters]
