from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrctl.contracts import optimizers
from lrctl.contracts.executor import Attempt
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Batch
from lrctl.engine import worker
from lrctl.engine.prepare import prepare
from lrctl.engine.worker import attempt, work
from lrctl.errors import CheckpointError, ReproducibilityError, UsageError
from lrctl.storage import checkpoint
from lrctl.storage.store import Store
from lrctl.testing import Constant
from lrctl.training import trainer
from lrctl.training.quiet import quiet_torch
from lrctl.training.trainer import Trained
from searches import forget, session_of, smoke

ADAMW = optimizers.AdamW(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
SPEC = TrainSpec("linear-regression", {}, "", 0, ADAMW, run="mine")
FIRST = SegmentJob(0, 10, Constant(0.1))
SECOND = SegmentJob(10, 20, Constant(0.05), FIRST.key(SPEC))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which the first job is done."""
    made = Store(tmp_path / "store")
    work(made, SPEC, FIRST)
    return made


def test_a_job_leaves_losses_checkpoint_and_result(store: Store) -> None:
    result = work(store, SPEC, SECOND)
    assert store.record(SECOND.key(SPEC)) == result
    table = store.losses(result.key)
    assert table["lr"].tolist() == [0.05] * 10
    assert result.mean_loss == pytest.approx(table["loss"].mean())
    assert (result.status, result.steps, result.parent, result.run) == ("ok", 10, FIRST.key(SPEC), "mine")
    checkpoint.load(store.checkpoint(result.key), result.digests["checkpoint"])


def test_a_job_that_nothing_continues_from_leaves_no_checkpoint(store: Store) -> None:
    result = work(store, SPEC, replace(SECOND, checkpoint=False))
    assert "checkpoint" not in result.digests
    assert not store.checkpoint(result.key).exists()


def test_siblings_leave_their_parents_checkpoint_as_it_is(store: Store) -> None:
    parent = store.checkpoint(FIRST.key(SPEC))
    before = parent.read_bytes(), parent.stat().st_mtime_ns
    results = [work(store, SPEC, replace(SECOND, schedule=Constant(lr))) for lr in (0.0, 0.3, 9.0, 0.05)]
    assert (parent.read_bytes(), parent.stat().st_mtime_ns) == before
    alone = Store(store.path.parent / "alone")
    work(alone, SPEC, FIRST)
    assert replace(work(alone, SPEC, SECOND), seconds=0.0) == replace(results[-1], seconds=0.0)


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 16
    path.write_bytes(whole)


def exchange(path: Path) -> None:
    """Another checkpoint, whole in itself."""
    checkpoint.save(path, {"model": {}, "optimizer": {}, "schedule": None})


SPOIL: dict[str, Callable[[Path], None]] = {
    "a flipped bit": flip,
    "truncated": lambda path: os.truncate(path, 300),
    "gone": Path.unlink,
    "another one in its place": exchange,
}


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
def test_a_damaged_parent_is_never_used_and_deleted(store: Store, spoil: Callable[[Path], None]) -> None:
    parent = store.checkpoint(FIRST.key(SPEC))
    spoil(parent)
    with pytest.raises(CheckpointError):
        work(store, SPEC, SECOND)
    assert not parent.exists()
    assert store.record(SECOND.key(SPEC)) is None


def test_a_store_that_is_out_of_reach_is_told_and_not_made(tmp_path: Path) -> None:
    record = attempt(tmp_path / "elsewhere", SPEC, SegmentJob(0, 5, Constant(0.1)))
    assert record.failure is not None
    assert record.failure.kind == "StoreError"
    assert "elsewhere: it is not in reach on " in record.failure.message
    assert not (tmp_path / "elsewhere").exists()


def test_a_parent_that_is_not_known_is_not_used(store: Store) -> None:
    forget(store, FIRST.key(SPEC))
    with pytest.raises(CheckpointError, match="is not known"):
        work(store, SPEC, SECOND)


def test_a_job_done_again_must_give_the_same_losses(store: Store) -> None:
    before = store.record(FIRST.key(SPEC))
    again = work(store, replace(SPEC, run="another"), FIRST)
    assert before is not None
    assert replace(again, seconds=0.0) == replace(before, seconds=0.0)


def tamper(store: Store, key: str) -> None:
    """Store other losses for a job, in a way that looks whole."""
    result, table = store.record(key), store.losses(key)
    assert result is not None
    losses = table["loss"].copy()
    losses[4] += 1e-3
    store.put_record(
        replace(result, digests={**result.digests, "losses": store.put_losses(key, losses, list(table["lr"]))})
    )


def test_other_losses_than_the_stored_ones_are_an_error(store: Store) -> None:
    tamper(store, FIRST.key(SPEC))
    store.checkpoint(FIRST.key(SPEC)).unlink()
    with pytest.raises(ReproducibilityError, match=r"gave another loss at its step 4 .*; give --fresh to start over"):
        work(store, SPEC, FIRST)


def test_an_exception_becomes_a_failed_result(store: Store) -> None:
    result = attempt(store.path, replace(SPEC, workload_params={"dim": -1}), FIRST)
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.kind == "UsageError"
    assert "dim: must be at least 1" in result.failure.message
    assert "Traceback" in result.failure.traceback
    assert store.record(result.key) is None


NAN, INF = math.nan, math.inf
SUMMARIES: dict[str, tuple[list[float], float, int, float]] = {
    "plain": ([4.0, 2.0], 3.0, 0, 2.0),
    "one not finite": ([4.0, NAN, 2.0], 3.0, 1, 2.0),
    "the last not finite": ([4.0, 2.0, INF], 3.0, 1, INF),
    "none finite": ([NAN, INF, -INF], INF, 3, INF),
    "no steps": ([], INF, 0, INF),
    "a tenth of twenty": ([9.0] * 18 + [1.0, 2.0], (18 * 9 + 3) / 20, 0, 1.5),
    "a tenth of nineteen": ([9.0] * 18 + [1.0], (18 * 9 + 1) / 19, 0, 1.0),
}


@pytest.mark.parametrize(("losses", "mean", "bad", "tail"), SUMMARIES.values(), ids=SUMMARIES)
def test_losses_are_summed_up(losses: list[float], mean: float, bad: int, tail: float) -> None:
    trained = Trained(np.array(losses, dtype=np.float32), [0.1] * len(losses), {}, 0.5)
    result = worker.summarise(SPEC, FIRST, trained)
    assert (result.mean_loss, result.non_finite, result.tail_loss) == (mean, bad, tail)
    assert (result.status, result.steps, result.seconds) == ("ok", len(losses), 0.5)


def test_a_mean_is_taken_in_double_precision() -> None:
    trained = Trained(np.array([2.0**24, 1.0, 1.0], dtype=np.float32), [0.1] * 3, {}, 0.0)
    assert worker.summarise(SPEC, FIRST, trained).mean_loss == (2**24 + 2) / 3


def test_torch_is_left_as_it_was(store: Store) -> None:
    torch.manual_seed(5)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    work(store, replace(SPEC, threads=threads + 1), FIRST)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_job_on_a_cpu_leaves_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda _: pytest.fail("CUDA was started"))
    with quiet_torch(1):
        pass


class InThreads:
    """An executor that runs jobs at the same time in one process."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def run(self, spec: TrainSpec, jobs: Sequence[SegmentJob]) -> Iterator[JobRecord]:
        with ThreadPoolExecutor(len(jobs)) as pool:
            yield from pool.map(partial(self.attempt, spec), jobs)

    def close(self) -> None: ...


def test_an_executor_of_threads_is_refused_at_once(tmp_path: Path) -> None:
    recipe, jobs = smoke(), [SegmentJob(0, 2000, Constant(lr)) for lr in (0.1, 0.01, 0.001)]
    with session_of(tmp_path, recipe, InThreads(partial(attempt, tmp_path))) as session:
        with pytest.raises(UsageError, match=r"two jobs at once in one process .*; run one job a process"):
            session.run_batch(Batch("", jobs))
        assert sum(record.status == "ok" for record in session.runner.records.values()) <= 1
        (result,) = session.run_batch(Batch("", jobs[:1]))
    assert result.mean_loss == work(Store(tmp_path / "alone"), session.runner.spec, jobs[0]).mean_loss


def test_torch_is_not_changed_under_a_job_of_another_thread(store: Store) -> None:
    def other() -> None:
        with pytest.raises(UsageError, match="run one job a process"), quiet_torch(3):
            pass

    with quiet_torch(1), ThreadPoolExecutor() as pool:
        pool.submit(other).result()
        assert torch.get_num_threads() == 1
        assert attempt(store.path, SPEC, SECOND).status == "ok", "a search within a job, in its own thread"


def test_the_threads_of_the_task_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    with quiet_torch(3):
        assert asked == [3]


def test_denormals_are_zero_in_a_job_only() -> None:
    tiny = torch.tensor([1e-40])
    with quiet_torch(1):
        assert (tiny * 0.5).item() == 0.0
    assert (tiny * 0.5).item() > 0.0


PUT = """
import torch

class Net:
    def __init__(self, seed): ...

    def model(self):
        return torch.nn.Linear(2, 1)

    def batch(self, step):
        return torch.zeros(3, 2).put_(torch.tensor([0, 0]), torch.ones(2))  # it has no deterministic kernel anywhere

    def loss(self, model, batch):
        return model(batch).square().mean()

    def evaluate(self, model, split):
        return {"loss": 1.0}
"""


def modes() -> tuple[bool, ...]:
    """Torch's choice of kernels: deterministic, with a warning in place of an error, filling what is not written."""
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )


@pytest.fixture
def warned() -> Iterator[None]:
    """What a user may have chosen, and is no default."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("warned")
@pytest.mark.parametrize("deterministic", [True, False])
def test_kernels_on_cuda_are_as_the_spec_says_and_afterwards_as_before(deterministic: bool) -> None:
    before = modes()
    assert before == (True, True, True)
    with quiet_torch(1, "cuda", deterministic=deterministic):
        assert modes() == (deterministic, False, False)
    assert modes() == before
    with pytest.raises(ZeroDivisionError), quiet_torch(1, "cuda", deterministic=deterministic):
        raise ZeroDivisionError
    assert modes() == before
    with quiet_torch(1, "cpu", deterministic=deterministic):
        assert modes() == before


def test_an_operation_without_a_deterministic_kernel_is_refused_with_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_cuda = lambda threads, _, **modes: quiet_torch(threads, "cuda", **modes)  # noqa: E731
    monkeypatch.setattr(worker, "quiet_torch", on_cuda)
    (tmp_path / "net.py").write_text(PUT)
    spec = prepare(smoke(workload__name=f"{tmp_path / 'net.py'}:Net"))
    record = attempt(tmp_path / "store", spec, FIRST)
    assert record.failure is not None
    assert record.failure.kind == "UsageError"
    assert record.failure.message.startswith("put_ has no deterministic kernel on this device; use another operation,")
    assert "training.deterministic=false" in record.failure.message
    assert attempt(tmp_path / "store", replace(spec, deterministic=False), FIRST).status == "ok"


def test_cuda_that_was_used_without_a_workspace_is_told() -> None:
    told = r"CUBLAS_WORKSPACE_CONFIG=:4096:8.*executor\.name=processes"
    with pytest.raises(UsageError, match=told), quiet_torch(1, "cuda"):
        raise RuntimeError("... you must set an environment variable: CUBLAS_WORKSPACE_CONFIG=:4096:8 or ...")


@pytest.mark.parametrize(("factor", "near"), [(1.001, True), (1.1, False)])
def test_without_deterministic_kernels_a_job_made_again_is_near_and_what_was_told_stays(
    factor: float, near: bool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainSpec, "exact", False)
    first, before = store.record(FIRST.key(SPEC)), store.losses(FIRST.key(SPEC))
    assert first is not None
    store.checkpoint(first.key).unlink()
    train = trainer.train

    def drifted(*given: Any) -> Trained:
        trained = train(*given)
        return replace(trained, losses=trained.losses * np.float32(factor))

    monkeypatch.setattr(trainer, "train", drifted)
    if not near:
        with pytest.raises(ReproducibilityError):
            work(store, SPEC, FIRST)
        return
    again = work(store, SPEC, FIRST)
    assert again == replace(first, digests=again.digests, remade={"mine": 10})
    assert store.record(first.key) == again
    assert store.losses(first.key).tobytes() == before.tobytes()
    assert store.has_checkpoint(first.key)
