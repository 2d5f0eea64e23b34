from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch

from lrctl.contracts import optimizers
from lrctl.contracts.executor import slots
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch
from lrctl.engine import job_runner, worker
from lrctl.engine.prepare import prepare
from lrctl.engine.worker import attempt
from lrctl.errors import JobFailedError, UsageError
from lrctl.storage.store import Store
from lrctl.testing import Constant, check_ahead, check_broken_worker, check_executor, scripted_attempt
from lrctl.testing.executors import breaking_attempt
from lrctl.training import trainer
from lrctl_executors.processes import Processes, ProcessesParams
from lrctl_executors.serial import Serial, SerialParams
from searches import forkserver, placed, session_of, smoke

ADAMW = optimizers.AdamW()
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the store that the two workers share."""
    return tmp_path_factory.mktemp("workers") / "store"


@pytest.fixture(scope="module")
def workers(folder: Path, quick_start: None) -> Iterator[Processes]:
    """Two workers that have done a job each."""
    del quick_start
    executor = Processes(ProcessesParams(workers=2), partial(attempt, folder))
    results = list(executor.run(SPEC, batch(2, start=1000)))
    assert [result.status for result in results] == ["ok", "ok"]
    yield executor
    executor.close()


def test_serial_keeps_the_contract() -> None:
    check_executor(Serial(SerialParams(), scripted_attempt), SPEC, batch(3))


def test_processes_keep_the_contract() -> None:
    executor = Processes(ProcessesParams(workers=1), scripted_attempt)
    check_executor(executor, SPEC, batch(3))
    assert executor.workers == []


@pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
def test_a_worker_that_can_compute_nothing_more_is_replaced(count: int) -> None:
    check_broken_worker(partial(Processes, ProcessesParams(workers=count)), SPEC, batch(4))


def test_the_check_of_broken_workers_leaves_executors_without_workers_alone() -> None:
    check_broken_worker(partial(Serial, SerialParams()), SPEC, batch(4))
    check_executor(Serial(SerialParams(), breaking_attempt), SPEC, batch(2), scripted_attempt)


def test_the_check_of_broken_workers_finds_one_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "replace", lambda *_: None)
    with pytest.raises(AssertionError, match="whose failure is `broken` was given another job"):
        check_broken_worker(partial(Processes, ProcessesParams(workers=1)), SPEC, batch(3))


@pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
def test_processes_wait_for_jobs_that_come_later(count: int) -> None:
    check_ahead(Processes(ProcessesParams(workers=count), scripted_attempt), SPEC, batch(4))


def test_the_check_finds_an_executor_that_takes_none_for_a_job() -> None:
    with pytest.raises(AssertionError, match="with jobs that are None, raised"):
        check_ahead(Serial(SerialParams(), scripted_attempt), SPEC, batch(2))


def test_both_give_the_same_bits(workers: Processes, folder: Path, tmp_path: Path) -> None:
    jobs = [replace(job, checkpoint=True) for job in batch(6, steps=20)]
    serial = Serial(SerialParams(), partial(attempt, tmp_path / "store"))
    assert put_aside(workers.run(SPEC, jobs)) == put_aside(serial.run(SPEC, jobs))
    stores = Store(folder), Store(tmp_path / "store")
    for job in jobs:
        one, other = (store.losses(job.key(SPEC)).tobytes() for store in stores)
        assert one == other


def test_workers_are_kept_over_batches(workers: Processes) -> None:
    before = pids(workers)
    for start in (10, 20, 30):
        assert len(put_aside(workers.run(SPEC, batch(5, start)))) == 5
    assert pids(workers) == before
    assert len(set(before)) == 2


def test_workers_are_kept_over_searches(workers: Processes) -> None:
    before = pids(workers)
    other = replace(SPEC, seed=1, run="another search")
    for spec in (SPEC, other, SPEC):
        assert {result.status for result in workers.run(spec, batch(3, start=60))} == {"ok"}
    assert pids(workers) == before


def test_a_run_that_was_given_up_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    with closing(Processes(ProcessesParams(workers=2), partial(attempt, tmp_path))) as executor:
        given_up = executor.run(SPEC, [*batch(1), *batch(3, start=1, steps=10**7)])
        next(given_up)
        busy = [worker.process for worker in executor.workers]
        jobs = batch(3, start=50)
        results = [result.key for result in executor.run(SPEC, jobs)]
        assert sorted(results) == sorted(job.key(SPEC) for job in jobs)
        assert not any(process.is_alive() for process in busy)


def test_another_device_gets_other_workers() -> None:
    with closing(Processes(ProcessesParams(workers=1), scripted_attempt)) as executor:
        on = [
            (list(executor.run(replace(SPEC, device=d), batch(2))), pids(executor))[1] for d in ("cpu", "cpu", "meta")
        ]
    assert on[0] == on[1] != on[2]
    assert len(on[2]) == 1


def test_results_come_as_they_finish(workers: Processes) -> None:
    (long,) = batch(1, start=500, steps=800)
    short = batch(4, start=501)
    finished = [result.key for result in workers.run(SPEC, [long, *short])]
    assert sorted(finished) == sorted(job.key(SPEC) for job in [long, *short])
    assert finished[-1] == long.key(SPEC)


def test_it_is_told_which_worker_does_a_job(workers: Processes) -> None:
    jobs = batch(3, start=30)
    with placed() as told:
        assert len(list(workers.run(SPEC, jobs))) == 3
    assert [(job, host) for job, host, _ in told] == [(job, "") for job in jobs]
    assert [worker for *_, worker in told[:2]] == ["worker 1", "worker 2"]


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


def test_the_job_of_a_killed_worker_is_tried_again(workers: Processes, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(KILLER)
    recipe = smoke(workload__name=f"{tmp_path / 'net.py'}:Net", workload__marker=str(tmp_path / "killed"))
    with session_of(folder, recipe, workers) as session:
        (result,) = session.run_batch(Batch("", batch(1)))
        record = session.runner.records[result.key]
    assert (record.status, record.attempts) == ("ok", 2)
    with session_of(tmp_path / "serial", recipe) as session:
        session.run_batch(Batch("", batch(1)))
        assert session.runner.records[result.key].digests == record.digests


FULL = """
import os
from pathlib import Path
import torch

class Net:
    '''Fits once: there is no memory for it as long as another process lives that has trained it.'''

    def __init__(self, seed, place):
        self.place = Path(place)

    def model(self):
        try:
            self.place.symlink_to(f"/proc/{os.getpid()}")
        except FileExistsError:
            owner = self.place.readlink()
            if owner.exists() and owner.name != str(os.getpid()):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.ones(4, 2)

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0}
"""


def test_a_job_that_runs_out_of_memory_beside_others_is_tried_again_alone(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FULL)
    recipe = smoke(workload__name=f"{tmp_path / 'net.py'}:Net", workload__place=str(tmp_path / "place"))
    executor = Processes(ProcessesParams(workers=2), partial(attempt, tmp_path / "store"))
    with closing(executor), session_of(tmp_path / "store", recipe, executor) as session:
        with pytest.warns(UserWarning, match=r"one by one; lower executor\.per_gpu, or raise training\.micro_batches"):
            results = session.run_batch(Batch("", batch(6)))
        attempts = [session.runner.records[result.key].attempts for result in results]
    assert [result.status for result in results] == ["ok"] * 6
    assert sorted(attempts) == [1, 1, 1, 1, 1, 2], "the worker without memory fails one job, and not all that wait"


def test_a_search_in_a_process_that_can_compute_nothing_more_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()
    for module in (worker, job_runner):
        monkeypatch.setattr(module, "LOST", lost)

    def train(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(trainer, "train", train)
    told = r"job \w+ failed with AcceleratorError: CUDA error: .*; after that this process can .* in a new process"
    with session_of(tmp_path, smoke()) as session, pytest.raises(JobFailedError, match=told):
        session.run_batch(Batch("", batch(2)))


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
    executor = Processes(ProcessesParams(workers=count), workers.attempt, workers.workers[:count], SPEC.device)

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
    executor = Processes(ProcessesParams(workers=1), partial(attempt, tmp_path))
    results = executor.run(SPEC, [*batch(1), *batch(1, start=1, steps=10**7)])
    assert next(results).status == "ok"
    (worker,) = executor.workers
    executor.close()
    executor.close()
    assert executor.workers == []
    assert worker.process.pid is not None
    assert not Path(f"/proc/{worker.process.pid}").exists()


def test_there_are_no_more_workers_than_jobs_or_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Processes(ProcessesParams(), scripted_attempt)
    assert list(executor.run(SPEC, [])) == []
    assert executor.workers == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert (slots("cpu"), slots("mps")) == (3, 1)


@pytest.mark.parametrize(("devices", "gpus"), [(1, [0, 0, 0]), (2, [0, 1, 0]), (4, [0, 1, 2])])
def test_workers_are_spread_over_the_gpus(devices: int, gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    started: list[list[str]] = []
    process = type("Idle", (), {"start": lambda _: None})

    def process_of(*, args: tuple[Any, Any, list[str]], **_: Any) -> Any:
        started.append(args[2])
        return process()

    context = type("Context", (), {"Pipe": lambda _: Pipe(), "Process": lambda _, **given: process_of(**given)})
    monkeypatch.setattr("lrctl_executors.processes.get_context", lambda _: context())
    executor = Processes(ProcessesParams(per_gpu=3), scripted_attempt)
    executor.prepare("cuda", 3)
    atexit.unregister(executor.close)
    assert started == [[str(gpu)] for gpu in gpus]


def test_a_gpu_has_as_many_slots_as_jobs_are_to_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [slots(device, 3) for device in ("cuda", "cuda:1", "mps")] == [6, 3, 1]
    assert slots("cpu", 3) == slots("cpu")


@pytest.mark.parametrize(("name", "least"), [("workers", 0), ("per_gpu", 1)])
def test_too_few_workers_are_refused(name: str, least: int) -> None:
    with pytest.raises(ValueError, match=f"{name}: must be at least {least}, got {least - 1}"):
        ProcessesParams(**{name: least - 1})
    with pytest.raises(UsageError, match=f"executor.{name}: must be at least {least}, got {least - 1}"):
        smoke(executor__name="auto", **{f"executor__{name}": least - 1})
