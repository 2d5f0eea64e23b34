"""Whether memory stays level over steps.

Imports torch.
"""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress
from itertools import pairwise

import torch

from lrctl.contracts.job import SegmentJob
from lrctl.engine.rules import LR, Broken, Rule, Subject, constant
from lrctl.engine.trainer import Training

WARM_UP, EVERY, LOOKS = 4, 2, 5
"""Memory is looked at after the fourth step, and then after every second one."""

GROWTH = 4096
"""Bytes a step by which Python's objects may grow between any two looks."""


def level(subject: Subject) -> str:
    last = WARM_UP + EVERY * (LOOKS - 1)
    training = Training(subject.workload, subject.spec, SegmentJob(0, last, constant(LR)))
    training.passes.train()
    looks = []
    tracemalloc.start()
    try:
        for step in range(last):
            training.update(step)
            if step + 1 >= WARM_UP and (step + 1 - WARM_UP) % EVERY == 0:
                looks.append(held())
    finally:
        tracemalloc.stop()
    tensors, size, python = ([(b - a) / EVERY for a, b in pairwise(each)] for each in zip(*looks, strict=True))
    if min(tensors) >= 1 or min(size) > GROWTH:
        raise Broken(
            f"{min(tensors):.3g} tensors a step stay in memory, {min(size):,.0f} bytes",
            "keep no losses, batches or outputs; a loss that is kept holds its whole graph: keep loss.item()",
        )
    if min(python) > GROWTH:
        raise Broken(
            f"{min(python):,.0f} bytes a step of Python's objects stay in memory", "keep no batches or outputs"
        )
    return f"from step {WARM_UP} to {last} it grew by {max(0, min(size) + min(python)):,.0f} bytes a step"


def held() -> tuple[int, int, int]:
    """How many tensors there are, the bytes that they hold, and the bytes of Python's objects."""
    gc.collect()
    found: dict[int, int] = {}
    tensors = 0
    for each in gc.get_objects():
        with suppress(Exception):  # some objects are not whole yet, and some lie about their class
            if issubclass(type(each), torch.Tensor):
                tensors += 1
                storage = each.untyped_storage()
                found[storage.data_ptr()] = storage.nbytes()
    return tensors, sum(found.values()), tracemalloc.get_traced_memory()[0]


LEVEL = Rule("memory", "memory is level over steps", level, ("lr",))
