"""Long-lived worker processes: one thread each on a CPU, one process per GPU on CUDA."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated

from lrctl.executor import slots
from lrctl.job import Failure, SegmentJob, SegmentResult, Task
from lrctl.worker import attempt

GRACE = 1.0
"""Seconds a worker has to end after it was asked to."""


@dataclass(frozen=True, slots=True)
class ProcessesParams:
    """How many workers."""

    workers: Annotated[int, "worker processes; 0 is one per CPU core or GPU"] = 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"workers: must be at least 0, got {self.workers}")


@dataclass(slots=True)
class Worker:
    """A process and the pipe to it; `job` is what it works on."""

    process: BaseProcess
    pipe: Connection
    job: SegmentJob | None = None


@dataclass(slots=True)
class Processes:
    """Hands jobs to workers as they become free. A worker that dies fails its job and is replaced."""

    params: ProcessesParams
    store: Path
    workers: list[Worker] = field(default_factory=list)

    def run(self, task: Task, jobs: Sequence[SegmentJob]) -> Iterator[SegmentResult]:
        """One result per job, as they finish; the first jobs are started first."""
        waiting = deque(jobs)
        while len(self.workers) < min(self.params.workers or slots(task.device), len(jobs)):
            self.workers.append(start(self.store, len(self.workers), task.device))
        while waiting or any(worker.job for worker in self.workers):
            for worker in self.workers:
                if worker.job is None and waiting:
                    worker.job = waiting.popleft()
                    send(worker, task)
            pipes = {worker.pipe: worker for worker in self.workers if worker.job}
            for pipe in wait(list(pipes)):
                worker = pipes[pipe]  # type: ignore[index]
                assert worker.job is not None
                job, worker.job = worker.job, None
                try:
                    yield worker.pipe.recv()
                except (EOFError, OSError):
                    yield died(worker, task, job)
                    index = self.workers.index(worker)
                    self.workers[index] = start(self.store, index, task.device)

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self.workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(GRACE)
            worker.process.kill()
            worker.process.join()
        self.workers.clear()


def send(worker: Worker, task: Task) -> None:
    """Give a worker its job; one that is dead already is noticed when its answer is waited for."""
    with suppress(OSError):
        worker.pipe.send((task, worker.job))


def died(worker: Worker, task: Task, job: SegmentJob) -> SegmentResult:
    """The result of a job whose worker is gone."""
    worker.process.join(GRACE)
    message = f"the worker process ended with exit code {worker.process.exitcode} (out of memory?)"
    return SegmentResult(job.key(task), "failed", failure=Failure("WorkerDied", message), run=task.run)


def start(store: Path, index: int, device: str) -> Worker:
    """Start worker number `index`."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    gpu = index % slots(device) if device == "cuda" else None
    process = context.Process(target=serve, args=(theirs, store, gpu), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def serve(pipe: Connection, store: Path, gpu: int | None) -> None:
    """A worker's life: take a job, do it, send the result, until the pipe closes or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    if gpu is not None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[gpu] if visible else str(gpu)
    while True:
        try:
            task, job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(store, task, job))


def end_with_parent() -> None:
    """End at once when the parent has ended, however it did."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
