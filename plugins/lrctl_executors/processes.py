"""Long-lived worker processes: one thread each on a CPU, one or several processes per GPU on CUDA."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Annotated

from lrctl.contracts.executor import Attempt, gpus_for, slots, worker_name
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.registry.observers import notify

LOOK = 1.0
"""Seconds between two looks at whether workers are alive."""

REASONS = {-signal.SIGKILL: " (out of memory?)", 1: "; see the messages above"}
"""What an exit code often means."""

GRACE = 1.0
"""Seconds a worker has to end after it was asked to."""


@dataclass(frozen=True, slots=True)
class ProcessesParams:
    workers: Annotated[int, "worker processes; 0 is one per CPU core, or `per_gpu` per GPU"] = 0
    per_gpu: Annotated[int, "jobs side by side on a GPU, where `workers` is 0; nothing on a CPU"] = 1

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("per_gpu", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: must be at least {least}, got {getattr(self, name)}")


@dataclass(slots=True, eq=False)
class Worker:
    """A process and the pipe to it; `job` is what it works on."""

    name: str
    process: BaseProcess
    pipe: Connection
    job: SegmentJob | None = None


@dataclass(slots=True, eq=False)
class Processes:
    """Hands jobs to workers as they become free. One that dies, or can compute nothing more on its GPU, is replaced.

    One whose device has no memory left gets no more jobs of the same `run`, as long as others do them.
    Workers live until `close`: from batch to batch, and from search to search as long as the device is the same.
    """

    params: ProcessesParams
    attempt: Attempt
    workers: list[Worker] = field(default_factory=list)
    device: str = ""

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        waiting = iter(jobs)  # a job is taken when a worker is free for it: only then is its limit known
        full: set[int] = set()  # workers that ran out of memory: they would take all jobs there are, and fail them
        self.prepare(spec.device, len(jobs))
        while True:
            for index, worker in enumerate(self.workers):
                if worker.job is None and index not in full and (job := next(waiting, None)):
                    worker.job = job
                    send(worker, spec)
                    notify("job_placed", job=job, host="", worker=worker.name)
            if not any(worker.job for worker in self.workers):
                return
            ready = wait([worker.pipe for worker in self.workers if worker.job], LOOK)
            for index, worker in enumerate(self.workers):
                # A pipe stays open while a child of the worker's holds it, so the worker itself is looked at too.
                if worker.job is None or (worker.pipe not in ready and worker.process.is_alive()):
                    continue
                job, worker.job = worker.job, None
                result = answer(worker)
                if result is None:
                    result = died(worker, spec, job)
                    self.replace(index)
                elif result.failure and result.failure.broken:
                    self.replace(index)
                if result.failure and result.failure.out_of_memory and len(full) + 1 < len(self.workers):
                    full.add(index)
                yield result

    def prepare(self, device: str, jobs: int) -> None:
        """Have as many workers on a device as so many jobs can use."""
        # Workers are still at work where the last run was given up half way: their results are nobody's.
        if self.device != device or any(worker.job for worker in self.workers):
            self.close()
        self.device = device
        if not self.workers:
            atexit.register(self.close)  # before multiprocessing's own, which would wait for the workers for ever
        while len(self.workers) < min(self.params.workers or slots(device, self.params.per_gpu), jobs):
            self.workers.append(start(self.attempt, len(self.workers), device))

    def replace(self, index: int) -> None:
        end(self.workers[index])
        self.workers[index] = start(self.attempt, index, self.device)

    def close(self) -> None:
        end(*self.workers)
        self.workers.clear()
        atexit.unregister(self.close)


def end(*workers: Worker) -> None:
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(GRACE)
        worker.process.kill()
        worker.process.join()


def send(worker: Worker, spec: TrainSpec) -> None:
    """Give a worker its job; one that is dead already is noticed when its answer is waited for."""
    with suppress(OSError):
        worker.pipe.send((spec, worker.job))


def answer(worker: Worker) -> JobRecord | None:
    """The result that a worker has sent, or None if it died before it could."""
    try:
        return worker.pipe.recv() if worker.pipe.poll() else None
    except (EOFError, OSError):
        return None


def died(worker: Worker, spec: TrainSpec, job: SegmentJob) -> JobRecord:
    worker.process.join(GRACE)
    code = worker.process.exitcode
    reason = REASONS.get(code or 0, "")
    message = f"the worker process ended with exit code {code}{reason}"
    return JobRecord(job.key(spec), "failed", failure=Failure("WorkerDied", message), run=spec.run)


def start(attempt: Attempt, index: int, device: str) -> Worker:
    context, gpus = get_context("spawn"), gpus_for(device, index)
    ours, theirs = context.Pipe()
    # Not a daemon: a workload may want loader processes of its own, and workers end with their parent anyway.
    process = context.Process(target=serve, args=(theirs, attempt, gpus), daemon=False)
    with shielded(), without_script():
        process.start()
    theirs.close()
    return Worker(worker_name(index, gpus), process, ours)


@contextmanager
def without_script() -> Iterator[None]:
    """Hide the script that runs from a process that is started, which needs nothing of it.

    It would run the script anew: a search there that is not under `if __name__ == "__main__"` would start workers of
    its own, and a script that was read from stdin is nowhere to be found.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def shielded() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for the length of a block; a process started in it never sees a Ctrl-C.

    Ctrl-C reaches the whole process group. Without this a worker that is still starting would print a traceback,
    and so would one whose parent is stopped half way through telling it what to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return
    held: list[int] = []
    handlers = {n: signal.signal(n, lambda number, _: held.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    resource_tracker.ensure_running()  # started with the first process, and lifts the mask
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for arrived in held:
        signal.raise_signal(arrived)


def serve(pipe: Connection, attempt: Attempt, gpus: Sequence[str] | None) -> None:
    """A worker's life: take a job, do it, send the result, until the pipe closes or the parent is gone."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # stdout is the parent's, for its result alone
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    while True:
        try:
            spec, job = pipe.recv()
            pipe.send(attempt(spec, job))
        except (EOFError, OSError):
            return  # the parent is gone; `attempt` itself never raises


def end_with_parent() -> None:
    """End at once when the parent has ended, however it did."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
