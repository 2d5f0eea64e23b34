"""What the executor `ray` brings and costs: throughput of two workers, time to hand out a job, memory over many jobs.

    PYTHONPATH=tests python -m benchmarks.on_ray

Jobs of the first sleep, so that the cores of the machine, and who else uses them, decide little; those of the second do
nothing; those of the last train for a few steps, and are read from and written to a store as in a search.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.overhead import THROUGHPUT_ROUNDS, handing_out, say
from benchmarks.reliability.processes import actors
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.optimizers import AdamW
from lrctl.engine.worker import attempt
from lrctl.registry.registry import registry
from lrctl.testing import SPEC, Constant, scripted_attempt

NAP, NAPS = 0.5, 24
"""Seconds that a job sleeps, and how many jobs a round has."""

TRAINED = TrainSpec("linear-regression", {}, "", 0, AdamW())

LOOKS = 10
"""How often memory is looked at."""


def jobs(count: int) -> list[SegmentJob]:
    return [SegmentJob(0, 5, Constant(1e-6 * (1 + i)), checkpoint=False) for i in range(count)]


def executor(workers: int, do: Callable[..., Any]) -> Any:
    part = registry().get("executor", "ray")
    return part.target(part.params(workers=workers, cpus_per_job=0.1), do)


def sleep(spec: TrainSpec, job: SegmentJob) -> Any:
    time.sleep(NAP)
    return scripted_attempt(spec, job)


def jobs_per_minute(workers: int) -> Iterator[float]:
    """Of jobs that sleep, round by round; actors are there already."""
    with closing(executor(workers, sleep)) as built:
        for round_ in range(THROUGHPUT_ROUNDS + 1):
            began = time.perf_counter()
            assert len(list(built.run(SPEC, jobs(NAPS)))) == NAPS
            if round_:
                yield 60 * NAPS / (time.perf_counter() - began)


def resident(pid: int) -> float:
    """MiB of memory that a process holds."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def memory(count: int) -> Iterator[tuple[int, float, float]]:
    """After how many jobs the process of the search and its two actors, in the mean, hold how many MiB."""
    with tempfile.TemporaryDirectory() as store, closing(executor(2, partial(attempt, Path(store)))) as built:
        for done, record in enumerate(built.run(TRAINED, jobs(count)), 1):
            assert record.status == "ok"
            if done % (count // LOOKS) == 0:
                yield done, resident(os.getpid()), statistics.mean(map(resident, actors(os.getpid())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000, help="over which memory is looked at")
    count = parser.parse_args().jobs
    one, two = (list(jobs_per_minute(workers)) for workers in (1, 2))
    say(f"jobs of {NAP} s in a minute, one worker", one)
    say(f"jobs of {NAP} s in a minute, two workers", two)
    print(f"two workers over one: {statistics.median(two) / statistics.median(one):.2f}")
    say("ms to hand a job to a worker", handing_out("ray"))
    for done, here, there in memory(count):
        print(f"MiB after {done} jobs: {here:.1f} here, {there:.1f} an actor", flush=True)


if __name__ == "__main__":
    main()
