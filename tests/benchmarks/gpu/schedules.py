"""Searches and tuned WSD on a GPT of 12M parameters, 300 steps on the packaged text: losses and costs.

    PYTHONPATH=tests python -m benchmarks.gpu.schedules [--cpu] [--out DIR] [--seconds N]

All share a store, so that work that they have in common is done once. What does not end in time is cut off, and told
as that.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.models import gpt
from benchmarks.gpu.searching import end, start

LEAN = ("--lean", "--eps", "0.48", "--decay")
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "lookahead": ("lookahead", ()),
    "semilocal, 0.48 nats with decay, lean": ("semilocal", (*LEAN, "--eps-unit", "nats")),
    "WSD, tuned": ("baseline", ("--family", "wsd")),
    "semilocal, 48 % of the progress with decay, lean": ("semilocal", (*LEAN, "--eps-unit", "progress")),
    "local, lean": ("local", ("--lean",)),
}
SETTINGS: dict[str, Any] = {
    **gpt(6, 6, 384, 256, 16, "bpe:2048"),
    "training.steps": 300,
    "training.dtype": "bfloat16",
    "training.device": "cuda",
    "executor.name": "processes",
    "executor.per_gpu": 4,
}
TINY = {
    **gpt(1, 2, 16, 16, 4, "bytes"),
    "workload.path": "README.md",
    "workload.eval_tokens": 1000,
    "training.steps": 60,
    "training.device": "cpu",
    "strategy.lookahead.score_batches": 2,
}


def main() -> None:
    measured = begin("schedules")
    with tempfile.TemporaryDirectory() as folder:
        for name, (strategy, flags) in measured.in_time(METHODS):
            with measured.attempting(name):
                measured.say(name, **found(measured, Path(folder), strategy, flags))


def found(measured: Measurement, store: Path, strategy: str, flags: tuple[str, ...]) -> dict[str, Any]:
    began = time.monotonic()
    search = start(strategy, "quickstart", store, TINY if measured.cpu else SETTINGS, *flags)
    try:
        document = end(search, measured.left)
    except subprocess.TimeoutExpired:
        jobs = len(list(store.glob("jobs/*.json")))
        return {"cut_off_after_seconds": time.monotonic() - began, "jobs_in_the_store": jobs}
    losses = {name: document[name] for name in ("test_loss", "train_loss")}
    return {**losses, "full_runs": document["cost"]["full_runs"], "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main()
