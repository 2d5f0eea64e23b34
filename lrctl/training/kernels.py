"""The kernels that jobs on CUDA run.

Imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

from lrctl.errors import UsageError

filling: Any = torch.utils.deterministic


@contextmanager
def kernels(*, deterministic: bool, tf32: bool) -> Iterator[None]:
    """Torch's choice of kernels as a job wants it; afterwards it is as before for others in this process.

    With `deterministic` an operation that has no deterministic kernel is an error. A warning in its place would have
    torch take the kernel that is not deterministic for the backward pass of attention, which has one that is.

    Raises:
        UsageError: in place of torch's error for such an operation.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills, products = filling.fill_uninitialized_memory, torch.get_float32_matmul_precision()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    filling.fill_uninitialized_memory = False  # it takes time, and changes only what reads memory that nothing wrote
    if tf32:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    except RuntimeError as error:
        check_deterministic(error)
        raise
    finally:
        if torch.get_float32_matmul_precision() != products:
            torch.set_float32_matmul_precision(products)
        filling.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def check_deterministic(error: RuntimeError) -> None:
    """Raise what to do about torch's error for an operation without a deterministic kernel, if it is one."""
    if "CUBLAS_WORKSPACE_CONFIG" in str(error):
        raise UsageError(
            "CUDA is in use in this process without CUBLAS_WORKSPACE_CONFIG=:4096:8, so that its matrix products are "
            "not deterministic; set that before Python starts, or executor.name=processes"
        ) from error
    operation, found, _ = str(error).partition(" does not have a deterministic implementation")
    if found:
        raise UsageError(
            f"{operation} has no deterministic kernel on this device; use another operation, or set "
            "training.deterministic=false, with which a job that is made again has losses near to the first, and not "
            "the same bits"
        ) from error
