"""Runs that are cut into segments, each from the checkpoint file of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule
from lrctl.contracts.workload import Workload
from lrctl.storage import checkpoint
from lrctl.training.trainer import Trained, train

Schedules = Schedule | AdaptiveSchedule

STEPS = 24
CUTS = {"halves": (12,), "uneven": (1, 5, 6, 23), "every step": tuple(range(1, STEPS))}


def chained(
    workload: Workload, spec: TrainSpec, schedule: Schedules, cuts: Sequence[int], folder: Path
) -> tuple[list[Trained], Any]:
    """What each segment gave, and the state at the end."""
    parts: list[Trained] = []
    state: Any = None
    for start, stop in pairwise((0, *cuts, STEPS)):
        parts.append(train(workload, spec, SegmentJob(start, stop, schedule), state))
        digest = checkpoint.save(folder / f"{stop}", parts[-1].state)
        state = checkpoint.load(folder / f"{stop}", digest)
    return parts, state


def digest_of(state: Any) -> str:
    """A state's content."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = checkpoint.pack(state, "", tensors, {})
    return checkpoint.digest_of(str(skeleton), tensors)


def same_state(one: Any, other: Any) -> bool:
    """Whether two states are equal bit for bit."""
    return digest_of(one) == digest_of(other)
