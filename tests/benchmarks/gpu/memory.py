"""The peak of memory of a job that is scored at its end, against what a dry run estimates for it.

    PYTHONPATH=tests python -m benchmarks.gpu.memory [--cpu] [--out DIR] [--seconds N]

Also what a process takes on the card beside its tensors, if it is alone there. On a CPU the peak is that of the whole
process, so that only the estimates mean something.
"""

from __future__ import annotations

import gc
import resource
from typing import Any

import torch

from benchmarks.gpu.deterministic import torch_in
from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.models import DTYPES, job_of, model_of
from lrctl.planning.profile import measure
from lrctl.training.trainer import train

CASES = {
    f"124M {dtype}, {windows} windows, micro_batches {pieces}": (dtype, windows, pieces)
    for dtype in ("bfloat16", "float32")
    for windows, pieces in ((16, 1), (16, 4), (32, 8))
}


def main() -> None:
    measured = begin("memory")
    for name, (dtype, windows, pieces) in measured.in_time(CASES):
        with measured.attempting(name):
            measured.say(name, **peaks(measured, dtype, windows, pieces))
    if not measured.cpu:
        free, total = torch.cuda.mem_get_info()
        measured.say("a process beside its tensors", gigabytes=(total - free - torch.cuda.memory_reserved()) / 1e9)


def peaks(measured: Measurement, dtype: str, windows: int, pieces: int) -> dict[str, Any]:
    settings = {**DTYPES[dtype], "workload.batch_size": windows, "training.micro_batches": pieces}
    workload, spec = model_of("124M", settings, cpu=measured.cpu)
    with torch_in("deterministic", spec):
        told = measure(workload, spec, stand_in=True, scored=True)
        clear()
        train(workload, spec, job_of(3, score_batches=2))
    return {"estimated_gigabytes": told.memory_bytes / 1e9, **peak(told.memory_bytes)}


def clear() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak(estimated: int) -> dict[str, float]:
    if not torch.cuda.is_available():
        return {"process_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}
    found = torch.cuda.max_memory_allocated()
    reserved = torch.cuda.max_memory_reserved()
    return {"peak_gigabytes": found / 1e9, "over_estimate": found / estimated, "reserved_gigabytes": reserved / 1e9}


if __name__ == "__main__":
    main()
