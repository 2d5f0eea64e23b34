"""Jobs with and without torch's deterministic kernels.

`deterministic` is lrctl's default: an operation that has none is an error. With `warned`, a warning in place of that
error, torch takes the other kernel for the backward pass of attention, although it has a deterministic one. `off` is
`training.deterministic=false`, and torch's own default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.measurement import Measurement
from benchmarks.gpu.models import DTYPES, job_of, model_of
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import Trained, train

MODES = ("deterministic", "warned", "off")
MODELS = (("quickstart", "float32"), ("long context", "bfloat16"), ("long context", "float32"))
CASES = {f"{size} {dtype}, {mode}": (size, dtype, mode) for mode in MODES for size, dtype in MODELS}
STEPS = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave: its losses, and a digest of its weights."""

    losses: np.ndarray[Any, Any]
    weights: str

    @classmethod
    def of(cls, *parts: Trained) -> Outcome:
        """That of a run in one part or several."""
        digest = hashlib.sha256()
        for tensor in parts[-1].state["model"].values():
            digest.update(tensor.cpu().numpy().tobytes())
        return cls(np.concatenate([part.losses for part in parts]), digest.hexdigest())

    def compared(self, other: Outcome) -> dict[str, Any]:
        """Whether the bits are the same, and how far apart the losses are."""
        same = self.weights == other.weights and self.losses.tobytes() == other.losses.tobytes()
        apart = np.abs(self.losses.astype(np.float64) - other.losses)
        means = abs(float(self.losses.astype(np.float64).mean() - other.losses.astype(np.float64).mean()))
        return {"same_bits": same, "a_step_apart": float(apart.max()), "means_apart": means}


@contextmanager
def torch_in(mode: str, spec: TrainSpec) -> Iterator[None]:
    """Torch as jobs have it, but for its kernels."""
    with quiet_torch(spec.threads, spec.device, tf32=spec.tf32, deterministic=mode == "deterministic"):
        if mode == "warned" and torch.device(spec.device).type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        yield


def part_of_run(measured: Measurement, case: str, job: SegmentJob, state: dict[str, Any] | None = None) -> Trained:
    """A job of a case, from initialisation or from the state of another job."""
    size, dtype, mode = CASES[case]
    workload, spec = model_of(size, DTYPES[dtype], cpu=measured.cpu)
    with torch_in(mode, spec):
        return train(workload, spec, job, state)


def whole(measured: Measurement, case: str) -> Outcome:
    return Outcome.of(part_of_run(measured, case, job_of(STEPS)))
