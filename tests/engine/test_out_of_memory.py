from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure
from lrctl.engine.worker import attempt
from lrctl.testing import Constant
from lrctl.training import trainer

CUBLAS_FULL = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"
FAILURES: dict[str, tuple[Failure, bool, bool]] = {
    "torch's allocator": (Failure("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."), True, False),
    "CUDA": (Failure("AcceleratorError", "CUDA error: out of memory"), True, False),
    "CUDA, as older torch says it": (Failure("RuntimeError", "CUDA error: out of memory"), True, False),
    "cuBLAS": (Failure("RuntimeError", CUBLAS_FULL), True, False),
    "an assertion": (Failure("AcceleratorError", "CUDA error: device-side assert triggered"), False, True),
    "an assertion, as older torch says it": (Failure("RuntimeError", "CUDA error: device-side assert"), False, True),
    "ROCm": (Failure("RuntimeError", "HIP error: an illegal memory access was encountered"), False, True),
    "cuDNN": (Failure("RuntimeError", "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, True),
    "another error": (Failure("RuntimeError", "mat1 and mat2 shapes cannot be multiplied"), False, False),
    "another kind": (Failure("ValueError", "CUDA error is what the user says"), False, False),
    "a program's": (Failure("ProgramError", "its last words being 'CUDA error: device-side assert'"), False, False),
    "a worker that was killed": (Failure("WorkerDied", "exit code -9 (out of memory?)"), False, False),
}


@pytest.mark.parametrize(("failure", "full", "broken"), FAILURES.values(), ids=FAILURES)
def test_a_device_that_is_full_or_broken_is_told_from_other_failures(
    failure: Failure, full: bool, broken: bool
) -> None:
    assert (failure.out_of_memory, failure.broken) == (full, broken)


def test_a_broken_device_is_no_error_of_giving_memory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def broken() -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(trainer, "train", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", broken)
    record = attempt(tmp_path, TrainSpec("linear-regression", {}, "", 0, None), SegmentJob(0, 1, Constant(0.1)))
    assert record.failure
    assert record.failure.kind == "OutOfMemoryError"


def test_a_job_that_ran_out_of_memory_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Weights:
        def __del__(self) -> None:
            seen.append("weights freed")

    def train(*_: object) -> None:
        weights = Weights()
        raise torch.OutOfMemoryError(f"CUDA out of memory: {type(weights).__name__}")

    monkeypatch.setattr(trainer, "train", train)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append("cache emptied"))
    record = attempt(tmp_path, TrainSpec("linear-regression", {}, "", 0, None), SegmentJob(0, 1, Constant(0.1)))
    assert record.failure
    assert record.failure.kind == "OutOfMemoryError"
    assert seen == ["weights freed", "cache emptied"]
