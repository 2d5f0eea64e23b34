"""The models that are measured, on made-up tokens; on a CPU tiny ones stand for them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.full_size import OnStandIns
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine.prepare import spec_of
from lrctl.recipe import parse as recipes

PLAIN = {"training.dtype": "float32", "training.micro_batches": 1, "training.compile": False, "training.tf32": False}

DTYPES: dict[str, dict[str, Any]] = {
    "float32": {},
    "tf32": {"training.tf32": True},
    "bfloat16": {"training.dtype": "bfloat16"},
}


def gpt(layers: int, heads: int, width: int, context: int, batch_size: int, tokenizer: str) -> dict[str, Any]:
    shape = {"layers": layers, "heads": heads, "d_model": width, "context": context, "batch_size": batch_size}
    return {f"workload.{name}": value for name, value in {**shape, "tokenizer": tokenizer}.items()}


SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "quickstart": ("quickstart", {"workload.output_bias": False}),
    "30M": ("mingpt-124m-pile", gpt(8, 8, 512, 256, 64, "bpe:8192")),
    "124M": ("mingpt-124m-pile", {"workload.batch_size": 8}),
    "long context": ("mingpt-124m-pile", gpt(4, 4, 256, 1024, 8, "bpe:4096")),
}
TINY = gpt(1, 2, 16, 16, 8, "bytes")


@dataclass(frozen=True)
class Clocked(OnStandIns):
    """A workload that notes when some of its steps begin, once the device has done all that came before."""

    steps: tuple[int, ...] = ()
    times: list[float] = field(default_factory=list)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if step in self.steps:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())
        return super().batch(step)


def model_of(size: str, settings: Mapping[str, Any], *, cpu: bool) -> tuple[Clocked, TrainSpec]:
    """The workload and the spec of a model, with recipe settings of its own."""
    recipe_name, shape = SIZES[size]
    base = {**PLAIN, **shape, "training.device": "cpu" if cpu else "cuda"}
    recipe = recipes.read(recipe_name, {**base, **settings, **(TINY if cpu else {})})
    workload = Clocked(recipe.workload.params, recipe.training.seed)
    return workload, spec_of(recipe, workload, "")


def job_of(steps: int, start: int = 0, stop: int | None = None, **more: Any) -> SegmentJob:
    """Steps [start, stop) of a run of so many, whose LR rises to 1e-3."""
    return SegmentJob(start, steps if stop is None else stop, PiecewiseLinear(((0, 0.0), (steps, 1e-3))), **more)
