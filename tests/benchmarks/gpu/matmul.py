"""The most that a card multiplies: what a model's share of it is measured against."""

from __future__ import annotations

import time
from functools import cache

import torch

REPEATS = 10


@cache
def peak(dtype: str, device: str) -> float:
    """Floating point operations a second of a large square matrix product, the best of several."""
    n, kind = (8192 if device == "cuda" else 512), torch.bfloat16 if dtype == "bfloat16" else torch.float32
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
    one, other = (torch.randn(n, n, device=device, dtype=kind) for _ in range(2))
    times = [seconds_of(one, other) for _ in range(REPEATS)]
    torch.set_float32_matmul_precision(before)
    return float(2 * n**3 / min(times))


def seconds_of(one: torch.Tensor, other: torch.Tensor) -> float:
    wait(one.device)
    began = time.perf_counter()
    one @ other
    wait(one.device)
    return time.perf_counter() - began


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
