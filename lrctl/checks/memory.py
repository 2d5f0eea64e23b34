"""Whether memory stays level over steps.

Imports torch.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch

from lrctl.checks.rules import LR, Broken, Rule, Subject, constant
from lrctl.contracts.job import SegmentJob
from lrctl.training.trainer import Training

WARM_UP, EVERY, LOOKS = 4, 2, 5
"""Memory is looked at after the fourth step, and then after every second one."""

GROWTH = 4096
"""Bytes a step by which Python's objects may grow between any two looks."""


def level(subject: Subject) -> str:
    last = WARM_UP + EVERY * (LOOKS - 1)
    training = Training(subject.workload, subject.spec, SegmentJob(0, last, constant(LR)))
    training.passes.train()
    looks = []
    with watched():
        for step in range(last):
            training.update(step)
            if step + 1 in range(WARM_UP, last + 1, EVERY):
                looks.append(held())
    tensors, size, python = ([(b - a) / EVERY for a, b in pairwise(each)] for each in zip(*looks, strict=True))
    if min(tensors) >= 1 or min(size) > GROWTH:
        raise Broken(
            f"{min(tensors):.3g} tensors a step stay in memory, {min(size):,.0f} bytes",
            "keep no losses, batches or outputs; a loss that is kept holds its whole graph: keep loss.item()",
        )
    if min(python) > GROWTH:
        found = f"{min(python):,.0f} bytes a step of Python's objects stay in memory"
        raise Broken(found, "keep no batches or outputs, and no more of a step than a few numbers")
    return f"from step {WARM_UP} to {last} it grew by {max(0, min(size) + min(python)):,.0f} bytes a step"


@contextmanager
def watched() -> Iterator[None]:
    """A block in which `held` tells of what is made in it."""
    before = gc.get_freeze_count()
    gc.freeze()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        if not before:
            gc.unfreeze()


def held() -> tuple[int, int, int]:
    """How many tensors there are, the bytes that they hold, and the bytes of Python's objects."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    dense = [each.untyped_storage() for each in tensors if each.layout == torch.strided]
    storages = {each.data_ptr(): each.nbytes() for each in dense}
    return len(tensors), sum(storages.values()), tracemalloc.get_traced_memory()[0]


LEVEL = Rule("memory", "memory is level over steps", level, ("lr",))
