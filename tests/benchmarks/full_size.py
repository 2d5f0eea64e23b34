"""One update of a recipe's model at its full size, with the batch cut down, on made-up tokens.

    python tests/benchmarks/full_size.py [--recipe mingpt-124m-pile] [--windows 1] [--set table.key=value ...]

Shows that the model is built, trains and fits: prints its parameters, the loss, the seconds of the update and
the peak of memory. Nothing is fetched: the batch is the workload's stand-in of `windows` windows, in one piece.
On a CPU it runs in float32 without compiling unless `--set` says otherwise; on CUDA (`--set
training.device=cuda`) as the recipe says. Not part of the test run.
"""

from __future__ import annotations

import argparse
import resource
from dataclasses import replace
from typing import Any

import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine.prepare import resolve_device
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train
from lrctl_workloads.text.gpt import Gpt


class OnStandIns(Gpt):
    """The workload with made-up batches."""

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.stand_in(step)

    def score_batch(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.stand_in(-1 - i)


def task_of(recipe: Recipe, *, plain: bool) -> TrainSpec:
    """The recipe's task, in one piece; `plain` is without reduced precision and compiling."""
    training = replace(recipe.training, micro_batches=1)
    if plain:
        training = replace(training, dtype="float32", compile=False)
    return TrainSpec(
        recipe.workload.name,
        recipe.workload.changed,
        content="",
        seed=training.seed,
        optimizer=recipe.optimizer.settings,
        device=resolve_device(training.device),
        dtype=training.dtype,
        threads=training.threads,
        compile=training.compile,
        tf32=training.tf32,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="mingpt-124m-pile")
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="table.key=value")
    chosen = parser.parse_args()
    given: dict[str, Any] = dict(recipes.parse_setting(text) for text in chosen.set)
    recipe = recipes.read(chosen.recipe, {**given, "workload.batch_size": chosen.windows})
    spec = task_of(
        recipe, plain=not torch.cuda.is_available() and not {"training.dtype", "training.compile"} & {*given}
    )
    workload = OnStandIns(recipe.workload.params, spec.seed)
    with quiet_torch(spec.threads, spec.device):
        trained = train(workload, spec, SegmentJob(0, 1, PiecewiseLinear(((0, 1e-4),))))
    parameters = sum(tensor.numel() for tensor in trained.state["model"].values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{chosen.recipe}: {parameters:,} parameters, {chosen.windows} x {workload.params.context} tokens, {spec.dtype}"
    )
    print(f"loss {trained.losses[0]:.4f}, one update {trained.seconds:.1f} s on {spec.device} ({spec.threads} thread)")
    print(f"peak memory of the process {peak / 1e9:.2f} GB")
    if torch.cuda.is_available():
        print(f"peak memory on the GPU {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
