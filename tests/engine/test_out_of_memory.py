from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure
from lrctl.engine.worker import attempt
from lrctl.testing import Constant
from lrctl.training import trainer

FAILURES: dict[str, tuple[Failure, bool]] = {
    "torch's allocator": (Failure("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."), True),
    "CUDA": (Failure("AcceleratorError", "CUDA error: out of memory"), True),
    "CUDA, as older torch says it": (Failure("RuntimeError", "CUDA error: out of memory"), True),
    "cuBLAS": (Failure("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
    "another error": (Failure("RuntimeError", "mat1 and mat2 shapes cannot be multiplied"), False),
    "a worker that was killed": (Failure("WorkerDied", "exit code -9 (out of memory?)"), False),
}


@pytest.mark.parametrize(("failure", "full"), FAILURES.values(), ids=FAILURES)
def test_a_full_device_is_told_from_other_failures(failure: Failure, full: bool) -> None:
    assert failure.out_of_memory is full


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
