"""Whether a search that is killed and continued finds what an uninterrupted one does; both are on one card at once.

PYTHONPATH=tests python -m benchmarks.gpu.killed [--cpu] [--out DIR] [--seconds N]
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.searching import chosen, end, found, quick, start

JOBS = 12
"""So many jobs are done when the search is killed."""


def search(measured: Measurement, store: Path) -> subprocess.Popen[str]:
    recipe, settings = quick(measured)
    return start("semilocal", recipe, store, settings, "--eps", "0.48", "--decay", "--executor", "processes")


def kill_after(search: subprocess.Popen[str], store: Path, jobs: int) -> int:
    """Kill a search once so many of its jobs are done. Returns how many were."""
    while search.poll() is None and len(list(store.glob("jobs/*.json"))) < jobs:
        time.sleep(0.01)
    search.kill()
    search.communicate()
    return len(list(store.glob("jobs/*.json")))


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    margins = [segment["margin"] for segment in one["segments"] if segment["margin"] is not None]
    pairs = list(zip(losses(one), losses(other), strict=False))
    return {
        "same_result": found(one) == found(other),
        "same_choices": chosen(one) == chosen(other),
        "test_losses_apart": abs(one["test_loss"] - other["test_loss"]),
        "most_a_mean_loss_is_apart": max(abs(a - b) for a, b in pairs if a is not None and b is not None),
        "smallest_margin": min(margins),
        "median_margin": statistics.median(margins),
    }


def losses(document: dict[str, Any]) -> list[float | None]:
    return [candidate["mean_loss"] for segment in document["segments"] for candidate in segment["candidates"]]


def main() -> None:
    measured = begin("killed")
    with tempfile.TemporaryDirectory() as folder, measured.attempting("semilocal"):
        stores = [Path(folder) / name for name in ("whole", "killed")]
        uninterrupted, interrupted = (search(measured, store) for store in stores)
        done = kill_after(interrupted, stores[1], JOBS)
        again = end(search(measured, stores[1]), measured.left)
        measured.say(f"killed after {done} jobs", **difference(end(uninterrupted, measured.left), again))


if __name__ == "__main__":
    main()
