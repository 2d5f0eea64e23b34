"""A process as a job needs it: one job at a time, and torch with its threads, kernels and random numbers."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from lrctl.errors import UsageError

AT_WORK = threading.RLock()

LOST = threading.Event()
"""Set where a job has failed in this process in such a way that none can be done in it any more."""


@contextmanager
def alone() -> Iterator[None]:
    """Refuse a job while another thread of this process is at work on one."""
    if not AT_WORK.acquire(blocking=False):
        raise UsageError(
            "two jobs at once in one process would change each other's numbers; run one job a process: an executor in "
            "processes of its own, and searches in threads one after another"
        )
    try:
        yield
    finally:
        AT_WORK.release()


@contextmanager
def quiet_torch(threads: int, device: str = "cpu", *, tf32: bool = False, deterministic: bool = True) -> Iterator[None]:
    """Torch as jobs need it; threads and random numbers are afterwards as before for others in this process."""
    import numpy as np
    import torch

    from lrctl.training.kernels import kernels

    before, cuda = torch.get_num_threads(), device.startswith("cuda")
    # By default the generators of all GPUs are kept, for which CUDA is started even where a job runs on a CPU.
    generators = torch.random.fork_rng([] if device == "cpu" else None)
    with alone(), generators, kernels(deterministic=deterministic, tf32=tf32) if cuda else nullcontext():
        states = random.getstate(), np.random.get_state()
        # Denormal optimizer state makes steps up to 26 times slower.
        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.set_num_threads(before)
            torch.set_flush_denormal(False)
