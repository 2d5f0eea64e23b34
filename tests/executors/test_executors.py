from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts import optimizers
from lrctl.contracts.executor import slots
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.storage.store import Store
from lrctl.testing import Constant
from lrctl_executors.processes import Processes, ProcessesParams
from lrctl_executors.serial import Serial, SerialParams
from searches import forkserver, session_of, smoke

ADAMW = optimizers.AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
SPEC = TrainSpec("linear-regression", {}, "", 0, ADAMW)


def batch(n: int, start: int = 0, steps: int = 5) -> list[SegmentJob]:
    """Jobs of which no two are equal."""
    return [SegmentJob(0, steps, Constant(1e-4 * (1 + start + i)), checkpoint=False) for i in range(n)]


def put_aside(results: Iterator[JobRecord]) -> dict[str, JobRecord]:
    """Results by key, without how long they took."""
    return {result.key: replace(result, seconds=0.0) for result in results}


def pids(executor: Processes) -> list[int | None]:
    return [worker.process.pid for worker in executor.workers]


@pytest.fixture(autouse=True, scope="module")
def quick_start() -> Iterator[None]:
    """Workers have torch loaded when they start. The contract of executors is tried with workers that have not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrctl_executors.processes.get_context", forkserver)
        yield


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, quick_start: None) -> Iterator[Processes]:
    """Two workers that have done a job each."""
    del quick_start
    executor = Processes(ProcessesParams(workers=2), tmp_path_factory.mktemp("workers") / "store")
    results = list(executor.run(SPEC, batch(2, start=1000)))
    assert [result.status for result in results] == ["ok", "ok"]
    yield executor
    executor.close()


def test_both_give_the_same_bits(workers: Processes, tmp_path: Path) -> None:
    jobs = [replace(job, checkpoint=True) for job in batch(6, steps=20)]
    serial = Serial(SerialParams(), tmp_path / "store")
    assert put_aside(workers.run(SPEC, jobs)) == put_aside(serial.run(SPEC, jobs))
    stores = Store(workers.store), Store(tmp_path / "store")
    for job in jobs:
        one, other = (store.losses(job.key(SPEC)).tobytes() for store in stores)
        assert one == other


def test_workers_are_kept_over_batches(workers: Processes) -> None:
    before = pids(workers)
    for start in (10, 20, 30):
        assert len(put_aside(workers.run(SPEC, batch(5, start)))) == 5
    assert pids(workers) == before
    assert len(set(before)) == 2


def test_results_come_as_they_finish(workers: Processes) -> None:
    (long,) = batch(1, start=500, steps=800)
    short = batch(4, start=501)
    finished = [result.key for result in workers.run(SPEC, [long, *short])]
    assert sorted(finished) == sorted(job.key(SPEC) for job in [long, *short])
    assert finished[-1] == long.key(SPEC)


def test_a_failure_is_a_result_and_the_worker_goes_on(workers: Processes) -> None:
    before = pids(workers)
    (result,) = workers.run(replace(SPEC, workload_params={"dim": -1}), batch(1))
    assert result.status == "failed"
    assert result.failure is not None
    assert (result.failure.kind, "dim: must be at least 1" in result.failure.message) == ("UsageError", True)
    assert "Traceback" in result.failure.traceback
    assert len(put_aside(workers.run(SPEC, batch(2, start=40)))) == 2
    assert pids(workers) == before


def resident(pid: int | None) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_workers_memory_does_not_grow(workers: Processes) -> None:
    def train(n: int, start: int) -> list[int]:
        jobs = [replace(job, checkpoint=True) for job in batch(n, start, steps=2)]
        assert len(put_aside(workers.run(SPEC, jobs))) == n
        return [resident(worker.process.pid) for worker in workers.workers]

    early = train(50, 2000)
    late = train(250, 3000)
    assert max(after - before for before, after in zip(early, late, strict=True)) < 4e6


def test_a_worker_that_died_between_batches_is_replaced(workers: Processes) -> None:
    first, second = pids(workers)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    (result,) = workers.run(SPEC, batch(1, start=700))
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.kind == "WorkerDied"
    assert result.failure.message == "the worker process ended with exit code -9 (out of memory?)"
    assert pids(workers)[0] != first
    assert pids(workers)[1] == second
    assert [result.status for result in workers.run(SPEC, batch(1, start=700))] == ["ok"]


KILLER = """
import os, signal
from pathlib import Path
import torch

class Net:
    def __init__(self, seed, marker):
        self.marker = Path(marker)

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        if step == 3 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        torch.manual_seed(step)
        return torch.randn(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0}
"""


def test_the_job_of_a_killed_worker_is_tried_again(workers: Processes, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(KILLER)
    recipe = smoke(workload__name=f"{tmp_path / 'net.py'}:Net", workload__marker=str(tmp_path / "killed"))
    recipe = replace(recipe, executor=replace(recipe.executor, name="processes", params={"workers": 2}))
    spec = prepare(recipe)
    results = Session(Store(workers.store), spec, recipe, executors={"processes": workers}).run_batch(
        Batch("", batch(1))
    )
    assert [(result.status, result.attempts) for result in results] == [("ok", 2)]
    serial = replace(recipe, executor=replace(recipe.executor, name="serial", params={}))
    with session_of(tmp_path / "serial", serial) as session:
        again = session.run_batch(Batch("", batch(1)))
    assert [r.digests for r in again] == [r.digests for r in results]


def test_a_killed_worker_is_noticed_though_a_child_of_its_lives_on(workers: Processes, tmp_path: Path) -> None:
    child = """child = os.fork()  # with all files that its parent has open
            if child == 0:
                signal.pause()
            self.marker.with_name("child").write_text(str(child))
            os.kill("""
    (tmp_path / "net.py").write_text(KILLER.replace("os.kill(", child, 1))
    recipe = smoke(workload__name=f"{tmp_path / 'net.py'}:Net", workload__marker=str(tmp_path / "killed"))
    (result,) = workers.run(prepare(recipe), batch(1))
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)  # an error if it lives no more
    assert result.failure is not None
    assert result.failure.kind == "WorkerDied"


@pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
def test_a_job_is_taken_only_when_a_worker_is_free_for_it(workers: Processes, count: int) -> None:
    done: list[int] = []
    finished = 0
    executor = Processes(ProcessesParams(workers=count), workers.store)
    executor.workers = workers.workers[:count]

    class Watched(Sequence[SegmentJob]):
        jobs = batch(6, start=900)

        def __len__(self) -> int:
            return len(self.jobs)

        def __getitem__(self, index: Any) -> Any:
            job = self.jobs[index]
            done.append(finished)
            return job

    for _ in executor.run(SPEC, Watched()):
        finished += 1
    assert finished == 6
    assert done[:count] == [0] * count
    assert all(seen >= place + 1 - count for place, seen in enumerate(done)), "taken before a worker was free"


def test_closing_stops_what_runs_and_may_be_done_twice(tmp_path: Path) -> None:
    executor = Processes(ProcessesParams(workers=1), tmp_path)
    results = executor.run(SPEC, [*batch(1), *batch(1, start=1, steps=10**7)])
    assert next(results).status == "ok"
    (worker,) = executor.workers
    executor.close()
    executor.close()
    assert executor.workers == []
    assert worker.process.pid is not None
    assert not Path(f"/proc/{worker.process.pid}").exists()


def test_there_are_no_more_workers_than_jobs_or_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Processes(ProcessesParams(), tmp_path)
    assert list(executor.run(SPEC, [])) == []
    assert executor.workers == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert (slots("cpu"), slots("mps")) == (3, 1)


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers: must be at least 0, got -1"):
        ProcessesParams(workers=-1)


def chosen(workers: int, jobs: int, folder: Path) -> type:
    """Which executor `auto` stands for."""
    recipe = smoke(executor__name="auto", executor__workers=workers)
    with session_of(folder, recipe) as session:
        return type(session.executor(jobs))


@pytest.mark.parametrize(
    ("workers", "jobs", "kind"),
    [(2, 5, Processes), (1, 5, Serial), (2, 1, Serial)],
    ids=["many", "one worker", "one job"],
)
def test_auto_takes_processes_where_there_is_more_than_one_of_each(
    workers: int, jobs: int, kind: type, tmp_path: Path
) -> None:
    assert chosen(workers, jobs, tmp_path) is kind
