"""What several jobs side by side on one card bring: jobs a minute, memory, and whether the choices stay the same.

    PYTHONPATH=tests python -m benchmarks.gpu.packing [--cpu] [--out DIR] [--seconds N]

A search on the quickstart model, in a new store each time. Jobs a minute are counted from the first job that is done to
the last: starting the workers is not part of it. On a CPU, where `per_gpu` does nothing, worker processes stand for it.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.measurement import Measurement, begin
from benchmarks.gpu.searching import chosen, end, quick, start

SIDE_BY_SIDE = (1, 4, 16, 8, 2)


def main() -> None:
    measured = begin("packing")
    first: dict[str, Any] = {}
    for name, jobs in measured.in_time({f"{n} side by side": n for n in SIDE_BY_SIDE[: 2 if measured.cpu else None]}):
        with measured.attempting(name), tempfile.TemporaryDirectory() as folder:
            with most_used(measured) as used:
                document = search(measured, Path(folder), jobs)
            first = first or document
            measured.say(
                name,
                jobs_a_minute=jobs_a_minute(Path(folder)),
                gigabytes=max(used, default=0) / 1e9,
                same_choices=chosen(document) == chosen(first),
                test_loss_apart=abs(document["test_loss"] - first["test_loss"]),
                seconds=document["cost"]["seconds"],
            )


def search(measured: Measurement, store: Path, jobs: int) -> dict[str, Any]:
    recipe, settings = quick(measured)
    key = "executor.workers" if measured.cpu else "executor.per_gpu"
    flags = ("--eps", "0.48", "--decay", "--executor", "processes")
    return end(start("semilocal", recipe, store, {**settings, key: jobs}, *flags), measured.left)


def jobs_a_minute(store: Path) -> float:
    ends = sorted(path.stat().st_mtime for path in store.glob("jobs/*.json"))
    return 60 * (len(ends) - 1) / (ends[-1] - ends[0])


@contextmanager
def most_used(measured: Measurement) -> Iterator[list[int]]:
    """Bytes of the card that others use, ten times a second for the length of a block; none on a CPU."""
    used: list[int] = []
    if measured.cpu:
        yield used
        return
    ended = threading.Event()
    before = torch.cuda.mem_get_info()[0]

    def look() -> None:
        while not ended.wait(0.1):
            used.append(before - torch.cuda.mem_get_info()[0])

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield used
    finally:
        ended.set()
        watching.join()


if __name__ == "__main__":
    main()
