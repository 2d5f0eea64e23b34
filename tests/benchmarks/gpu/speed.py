"""Time per step over that of a bare PyTorch loop, in alternating rounds; tokens a second; share of the card's peak.

    PYTHONPATH=tests python -m benchmarks.gpu.speed [--cpu] [--out DIR] [--seconds N]

The loop is that of tests/benchmarks/overhead.py, once with the kernels that lrctl asks for and, where nothing is
compiled, once with those that torch takes by itself: what deterministic kernels cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import torch
import torch._dynamo

from benchmarks.gpu.deterministic import torch_in
from benchmarks.gpu.matmul import peak
from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.models import DTYPES, Clocked, job_of, model_of
from benchmarks.overhead import bare
from lrctl.contracts.job import TrainSpec
from lrctl.training.trainer import train

FIRST = (("quickstart", "float32", False), ("124M", "bfloat16", False), ("30M", "bfloat16", False))
COMPILED = (("124M", "bfloat16", True), ("30M", "bfloat16", True), ("quickstart", "float32", True))
EVERY = [
    (size, dtype, compiled) for compiled in (False, True) for size in ("30M", "quickstart", "124M") for dtype in DTYPES
]
CASES = {
    f"{size} {dtype}{', compiled' if compiled else ''}": (size, dtype, compiled)
    for size, dtype, compiled in dict.fromkeys([*FIRST, *COMPILED, *EVERY])
}
ROUNDS = 3
WARM_UP = 4
SECONDS = 0.3
"""About so long a round is, after its warm-up."""

Way = Callable[[Clocked, TrainSpec, int], object]
WAYS: dict[str, tuple[str, Way]] = {
    "lrctl": ("deterministic", lambda workload, spec, steps: train(workload, spec, job_of(steps))),
    "bare": ("deterministic", bare),
    "bare, any kernel": ("off", bare),
}


def main() -> None:
    measured = begin("speed")
    for dtype in DTYPES:
        measured.say(f"large matrix product, {dtype}", tflops=peak(dtype, measured.device) / 1e12)
    for name, (size, dtype, compiled) in measured.in_time(dict(list(CASES.items())[: 4 if measured.cpu else None])):
        with measured.attempting(name):
            measured.say(name, **speed(measured, size, dtype, compiled=compiled))


def speed(measured: Measurement, size: str, dtype: str, *, compiled: bool) -> dict[str, Any]:
    torch._dynamo.reset()  # or a graph for any size would follow that for another one
    workload, spec = model_of(size, {**DTYPES[dtype], "training.compile": compiled}, cpu=measured.cpu)
    ways = dict(list(WAYS.items())[: 2 if compiled else 3])
    first, step = seconds(ways["bare"], workload, spec, WARM_UP + 4)
    steps = WARM_UP + max(3, min(200, int(SECONDS / step)))
    rounds = [{name: seconds(way, workload, spec, steps)[1] for name, way in ways.items()} for _ in range(ROUNDS)]
    own, over = median(each["lrctl"] for each in rounds), [each["lrctl"] / each["bare"] for each in rounds]
    tokens = workload.params.batch_size * workload.params.context / own
    found: dict[str, Any] = {
        "ms_a_step": 1e3 * own,
        "over_bare": median(over),
        "from_to": [min(over), max(over)],
        "tokens_a_second": tokens,
        "share_of_peak": tokens * flops_per_token(workload) / peak(dtype, measured.device),
    }
    if compiled:
        return {**found, "seconds_to_compile": first}
    return {**found, "bare_over_any_kernel": median(each["bare"] / each["bare, any kernel"] for each in rounds)}


def seconds(way: tuple[str, Way], workload: Clocked, spec: TrainSpec, steps: int) -> tuple[float, float]:
    """Seconds that the first steps took, those to warm up; and seconds of each step after them."""
    clocked = replace(workload, steps=(0, WARM_UP, steps - 1), times=[])
    mode, loop = way
    with torch_in(mode, spec):
        loop(clocked, spec, steps)
    began, warm, last = clocked.times
    return warm - began, (last - warm) / (steps - 1 - WARM_UP)


def flops_per_token(workload: Clocked) -> float:
    """Of a forward and a backward pass: 6 for each weight of a matrix product, and 12 * layers * width * context."""
    p, model = workload.params, workload.model()
    looked_up = {"positions"} if p.tie_embeddings else {"positions", "tokens.weight"}
    weights = sum(w.numel() for name, w in model.named_parameters() if w.ndim >= 2 and name not in looked_up)
    return float(6 * weights + 12 * p.layers * p.d_model * p.context)


if __name__ == "__main__":
    main()
