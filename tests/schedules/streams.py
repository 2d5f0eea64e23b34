"""What tests of schedules that see the run share: optimizers to set, metrics to see, and states to follow."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import torch

from lrctl.contracts.schedule import AdaptiveSchedule, Observation


def optimizer_of(*lrs: float) -> torch.optim.Optimizer:
    """An optimizer with a param group of one weight for each of these LRs."""
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs])


def metrics(random: Random, steps: int) -> list[float]:
    """A stream of finite metrics: smooth or noisy, with ties, spikes, and either sign."""
    level = random.choice([0.0, 1.0, -1.0, 100.0])
    drift, noise = random.choice([-0.01, 0.0, 0.01]), random.choice([0.0, 0.01, 1.0])
    grain = random.choice([0.0, 0.0, 0.125])
    stream = []
    for step in range(steps):
        value = level if random.random() < 0.2 else level + drift * step + random.gauss(0.0, noise)
        value *= 1e12 if random.random() < 0.005 else 1.0
        stream.append(round(value / grain) * grain if grain else value)
    return stream


def states(schedule: AdaptiveSchedule, losses: Iterable[float]) -> list[Any]:
    """The state after each metric; every one is strict JSON."""
    state, found = schedule.init(), []
    for step, loss in enumerate(losses):
        state = schedule.update(state, Observation(step, 0.0, loss))
        assert json.loads(json.dumps(state, allow_nan=False)) == state
        found.append(state)
    return found


def lrs(schedule: AdaptiveSchedule, losses: Iterable[float]) -> list[Any]:
    """The LR after each metric."""
    return [schedule(step, state) for step, state in enumerate(states(schedule, losses))]
