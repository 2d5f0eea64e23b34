"""What lrctl costs over a bare PyTorch loop, and what a second worker brings.

    python tests/benchmarks/overhead.py

Comparisons are made in alternating blocks, so that a machine whose speed drifts does not decide them. Those of the
executor `ray` are made where Ray is installed. Trains the quickstart model on its text. Not part of the test run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import AdamW
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.engine.executors import Executors
from lrctl.engine.prepare import prepare
from lrctl.recipe import parse as recipe
from lrctl.recipe.workloads import load_workload
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from lrctl.testing import SPEC, Constant, scripted_attempt
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import train

STEPS, ROUNDS = 200, 9
JOBS, JOB_STEPS, THROUGHPUT_ROUNDS = 12, 60, 3
EMPTY_JOBS = 300
WARMUP = PiecewiseLinear(((0, 0.0), (STEPS, 1e-3)))


def bare(workload: Any, spec: TrainSpec, steps: int = STEPS) -> None:
    """A training loop as one writes it by hand: the same model, data, kernel and LRs.

    Losses are read as they come, on a GPU at the end. (Kept as tensors on a CPU they would cost 4 % of the time.)
    """
    assert isinstance(spec.optimizer, AdamW)
    beta1, beta2 = spec.optimizer.betas
    device = torch.device(spec.device)
    model = workload.model().to(device)
    if spec.compile:
        model.compile()
    optimizer = torch.optim.AdamW(
        workload.param_groups(model),
        betas=(beta1, beta2),
        eps=spec.optimizer.eps,
        weight_decay=spec.optimizer.weight_decay,
        fused=True,
    )
    precision: Any = torch.autocast(device.type, torch.bfloat16) if spec.dtype == "bfloat16" else nullcontext()
    losses: list[Any] = []
    model.train()
    for step in range(steps):
        inputs, targets = (on(device, each) for each in workload.batch(step))
        with precision:
            loss = workload.loss(model, (inputs, targets))
        for group in optimizer.param_groups:
            group["lr"] = WARMUP(step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach() if device.type == "cuda" else loss.item())
    if device.type == "cuda":
        torch.stack(losses).tolist()


def on(device: torch.device, batch: torch.Tensor) -> torch.Tensor:
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process: a neighbour's load does not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def overhead(spec: TrainSpec) -> list[float]:
    """lrctl's time over the bare loop's, round by round."""
    workload = load_workload(spec.workload, spec.workload_params, spec.seed)
    job = SegmentJob(0, STEPS, WARMUP)
    with quiet_torch(1):
        bare(workload, spec)
        train(workload, spec, job)
        return [
            seconds(lambda: train(workload, spec, job)) / seconds(lambda: bare(workload, spec)) for _ in range(ROUNDS)
        ]


def handing_out(executor: str) -> list[float]:
    """Milliseconds that it takes to have a job done that does nothing, by one worker, round by round."""
    part = registry().get("executor", executor)
    jobs = [SegmentJob(0, 1, Constant(1e-5 * (1 + i))) for i in range(EMPTY_JOBS)]
    times = []
    with closing(part.target(part.params(workers=1), scripted_attempt)) as built:
        for _ in range(THROUGHPUT_ROUNDS + 1):
            began = time.perf_counter()
            assert len(list(built.run(SPEC, jobs))) == EMPTY_JOBS
            times.append(1000 * (time.perf_counter() - began) / EMPTY_JOBS)
    return times[1:]


def throughput(spec: TrainSpec, executor: str) -> list[float]:
    """Jobs per second of two workers over those of `serial`, round by round; both are warm."""
    with tempfile.TemporaryDirectory() as folder:
        changes: list[dict[str, Any]] = [
            {"executor.name": executor, "executor.workers": 2},
            {"executor.name": "serial"},
        ]
        choices = [recipe.read("quickstart", each).executor for each in changes]
        with closing(Executors()) as built:
            executors = [built.get(each, Store(Path(folder) / each.name), spec.device) for each in choices]
            ratios = []
            for round_ in range(THROUGHPUT_ROUNDS + 1):
                jobs = [
                    SegmentJob(0, JOB_STEPS, PiecewiseLinear(((0, 0.0), (JOB_STEPS, 1e-5 * (1 + i + JOBS * round_)))))
                    for i in range(JOBS)
                ]
                times = []
                for each in executors:
                    began = time.perf_counter()
                    results = list(each.run(spec, jobs))
                    times.append(time.perf_counter() - began)
                    assert all(result.status == "ok" for result in results)
                ratios.append(times[1] / times[0])
    return ratios[1:]  # the first round starts the workers


def main() -> None:
    """Measure and print each with its spread."""
    spec = replace(prepare(recipe.read("quickstart")), run="overhead")
    say(f"job / bare loop, time per step ({ROUNDS} rounds of {STEPS} steps)", overhead(spec))
    for executor in ["processes", *["ray"][: find_spec("ray") is not None]]:
        rounds = f"({THROUGHPUT_ROUNDS} rounds of {JOBS} jobs)"
        say(f"2 workers of {executor} / serial, throughput {rounds}", throughput(spec, executor))
        say(f"ms to hand a job to a worker of {executor} ({THROUGHPUT_ROUNDS} rounds)", handing_out(executor))


def say(title: str, found: list[float]) -> None:
    print(f"{title}: median {statistics.median(found):.3f}, {min(found):.3f} to {max(found):.3f}", flush=True)


if __name__ == "__main__":
    main()
