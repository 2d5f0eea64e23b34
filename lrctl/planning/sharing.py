"""Whether the jobs that share a GPU fit into its memory."""

from __future__ import annotations

import gc

from lrctl.analysis.units import size
from lrctl.contracts.executor import slots
from lrctl.engine.executors import side_by_side
from lrctl.recipe.schema import Choice

CONTEXT = 600_000_000
"""Bytes that a process takes on a GPU beside its tensors: CUDA's own, and the kernels that are loaded. An estimate."""


def shortage(executor: Choice, device: str, job_bytes: int) -> str:
    """What to do about jobs of so many bytes that do not fit side by side on a GPU; empty where they do."""
    jobs, each = side_by_side(executor, device), job_bytes + CONTEXT
    if jobs == 1 or jobs * each <= (free := free_bytes(device)):
        return ""
    key, times = ("workers", slots(device)) if getattr(executor.params, "workers", 0) else ("per_gpu", 1)
    fit = free // each
    less = f"set executor.{key}={fit * times}, or " if fit else "not one of them fits: "
    return (
        f"executor.{key}: {jobs} jobs side by side on a GPU need about {size(jobs * each)}, {size(each)} each, and "
        f"{size(free)} are free; {less}raise training.micro_batches"
    )


def free_bytes(device: str) -> int:
    """Bytes that are free on a GPU, or on the fullest of all that are used."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()  # what was measured here just now is wanted by the workers
    every = range(torch.cuda.device_count()) if device == "cuda" else [device]
    return min(torch.cuda.mem_get_info(each)[0] for each in every)
