"""On a real Ray, which takes seconds to start: all tests of this file share one."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from command_line import Lrctl
from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.engine.run import Run
from lrctl.engine.worker import attempt
from lrctl.errors import LrctlError, UsageError
from lrctl.storage.store import Store
from lrctl.testing import Constant, check_ahead, check_broken_worker, check_executor, scripted_attempt
from lrctl_executors.ray import cluster
from lrctl_executors.ray.actors import Place, versions
from lrctl_executors.ray.executor import Ray
from lrctl_executors.ray.params import RayParams
from searches import found, placed, search, smoke

SPEC = TrainSpec("linear-regression", {}, "", 0, optimizers.AdamW())
HALF = {"executor__name": "ray", "executor__workers": 2, "executor__cpus_per_job": 0.25}


def batch(n: int, start: int = 0, steps: int = 5) -> list[SegmentJob]:
    return [SegmentJob(0, steps, Constant(1e-4 * (1 + start + i)), checkpoint=False) for i in range(n)]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"workers": -1}, "workers: must be at least 0, got -1"),
        ({"cpus_per_job": -0.5}, "cpus_per_job: must be at least 0, got -0.5"),
        ({"gpus_per_job": 1.5}, "gpus_per_job: must be a part of 1, or a whole number, got 1.5"),
        ({"gpus_per_job": 0.0}, "gpus_per_job: must be a part of 1, or a whole number, got 0"),
        ({"address": "ray://head:10001"}, "address: must be HOST:PORT, auto or empty, got 'ray://head:10001'"),
        ({"address": "head"}, "address: must be HOST:PORT, auto or empty, got 'head'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_set_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("ray://", ".*")):
        RayParams(**values)


@pytest.mark.parametrize(
    ("device", "values", "held"),
    [
        ("cpu", {}, {"CPU": 2, "GPU": 0}),
        ("cpu", {"cpus_per_job": 0.5, "gpus_per_job": 0.25}, {"CPU": 0.5, "GPU": 0}),
        ("cuda", {"gpus_per_job": 0.25}, {"CPU": 2, "GPU": 0.25}),
        ("own:4", {}, {"CPU": 2, "GPU": 4}),
        ("own", {}, {"CPU": 2, "GPU": 0}),
    ],
    ids=["a core a thread", "half a core", "a part of a GPU", "a program's GPUs", "a program that chooses"],
)
def test_what_a_job_holds(device: str, values: dict[str, Any], held: dict[str, float]) -> None:
    assert RayParams(**values).share(replace(SPEC, device=device, threads=2)) == held


def test_ray_gives_each_job_its_gpu() -> None:
    with pytest.raises(UsageError, match="--device cuda:1: Ray gives each job its GPU; give --device cuda"):
        RayParams().share(replace(SPEC, device="cuda:1"))


@pytest.mark.parametrize(
    ("share", "jobs"),
    [
        ({"CPU": 1, "GPU": 0}, 8),
        ({"CPU": 0.1, "GPU": 0}, 80),
        ({"CPU": 1, "GPU": 0.25}, 8),
        ({"CPU": 1, "GPU": 0.4}, 4),
        ({"CPU": 1, "GPU": 2}, 1),
        ({"CPU": 1, "GPU": 4}, 0),
    ],
    ids=["a core each", "a tenth", "a quarter of a GPU", "a share lies on one GPU", "two GPUs", "more than there are"],
)
def test_how_many_jobs_a_node_has_room_for(share: dict[str, float], jobs: int) -> None:
    assert cluster.fit({"CPU": 8.0, "GPU": 2.0, "memory": 1e9}, share) == jobs


def test_without_ray_it_is_told_how_to_install_it(lrctl: Lrctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    done = lrctl("local", "--recipe", "smoke", "--executor", "ray", "--quiet")
    assert done.code == 2
    assert "the package ray is not installed; install it with pip install 'lrctl[ray]'" in done.err


def test_a_node_with_other_versions_is_refused() -> None:
    Place("id", "node7", versions()).check()
    with pytest.raises(UsageError, match=r"node7 has torch 1\.0, and this machine has .* the same on every node"):
        Place("id", "node7", {**versions(), "torch": "1.0"}).check()


def test_where_jobs_run_is_part_of_no_name(tmp_path: Path) -> None:
    recipes = smoke(), smoke(**HALF, executor__address="head:6379")
    assert len({Run(Store(tmp_path), "local", each, None).identity(trains=True).name for each in recipes}) == 1


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray of two cores that executors find in this process."""
    if find_spec("ray") is None:
        pytest.skip("needs Ray: pip install 'lrctl[ray]'")
    place = cluster.Cluster("")
    place.start(2)
    import ray

    yield ray
    place.stop()


def test_an_address_that_ray_finds_and_nobody_answers_at_is_refused(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        gone = f"127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setattr(ray, "is_initialized", bool)
    monkeypatch.setenv("RAY_ADDRESS", gone)
    with pytest.raises(
        UsageError, match=rf"^executor\.address: nothing answers at auto, which is \S+:{gone[10:]} by RAY"
    ):
        cluster.Cluster("auto").start(1)


@pytest.mark.parametrize("found", ["https://ray.example.com", "head:abc"])
@pytest.mark.usefixtures("ray")
def test_what_ray_makes_of_an_odd_address_is_its_own_to_say(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "found_here", lambda: found)
    cluster.Cluster("auto").check_answers()


@pytest.mark.parametrize(
    ("address", "error", "tries"),
    [("", "The current node timed out during startup.", 3), ("", "no", 1), ("head:6379", "RPC timed out", 1)],
    ids=["a busy machine", "another failure", "a cluster"],
)
def test_a_ray_that_takes_too_long_to_start_is_started_again(
    address: str, error: str, tries: int, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str]()

    class Node:
        def __init__(self, where: str, **_: Any) -> None:
            told.append(where)
            raise RuntimeError(error)

        def kill_all_processes(self, **_: bool) -> None:
            told.append("ended")

    monkeypatch.setattr(ray, "is_initialized", bool)
    monkeypatch.setattr(ray, "init", Node)
    monkeypatch.setattr(cluster.Cluster, "check_answers", lambda _: None)
    with pytest.raises(LrctlError, match=f"cannot be used: {error}"):
        cluster.Cluster(address).start(1)
    assert told == [address or "local", "ended"] * tries


def executor(do: Any = scripted_attempt, **values: Any) -> Ray:
    return Ray(RayParams(**{"workers": 2, "cpus_per_job": 0.25, **values}), do)


@pytest.mark.usefixtures("ray")
def test_ray_keeps_the_contract() -> None:
    check_executor(executor(), SPEC, batch(3))


@pytest.mark.usefixtures("ray")
def test_ray_waits_for_jobs_that_come_later() -> None:
    check_ahead(executor(), SPEC, batch(3))


@pytest.mark.usefixtures("ray")
def test_an_actor_that_can_compute_nothing_more_is_replaced() -> None:
    check_broken_worker(partial(executor, workers=1), SPEC, batch(3))


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("command", [pytest.param("semilocal", marks=pytest.mark.slow), "lookahead"])
def test_a_search_gives_the_same_bits_as_in_one_process(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there = search(tmp_path / "ray", smoke(**HALF, training__stop_early=False), command=command)
    here = search(tmp_path / "serial", smoke(training__stop_early=False), command=command)
    assert found(there)["segments"] == found(here)["segments"]
    assert facts(tmp_path / "ray", "losses") == facts(tmp_path / "serial", "losses")
    assert digests(tmp_path / "ray") == digests(tmp_path / "serial")
    assert capfd.readouterr() == ("", "")


def facts(store: Path, folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store / folder).iterdir()}


def digests(store: Path) -> dict[str, Any]:
    """Of the losses and the checkpoint of each job."""
    return {name: json.loads(fact)["digests"] for name, fact in facts(store, "jobs").items()}


@pytest.mark.usefixtures("ray")
def test_actors_are_kept_over_searches_and_left_by_one_that_was_given_up(tmp_path: Path) -> None:
    with closing(executor(partial(attempt, tmp_path))) as kept:
        assert [each.status for each in kept.run(SPEC, batch(3))] == ["ok"] * 3
        before = list(kept.actors)
        assert [each.status for each in kept.run(replace(SPEC, seed=1), batch(3))] == ["ok"] * 3
        assert kept.actors == before
        given_up = kept.run(SPEC, [*batch(1, start=50), *batch(1, start=60, steps=10**7)])
        next(given_up)
        assert [each.status for each in kept.run(SPEC, batch(2, start=70))] == ["ok"] * 2
        assert len(set(kept.actors) & set(before)) == 1


@pytest.mark.usefixtures("ray")
def test_a_mistake_of_the_job_is_its_result(tmp_path: Path) -> None:
    with closing(executor(partial(attempt, tmp_path))) as kept:
        (record,) = kept.run(replace(SPEC, workload_params={"dim": -1}), batch(1))
        assert record.failure is not None
        assert record.failure.kind == "UsageError"
        (record,) = kept.run(SPEC, [replace(batch(1)[0], schedule=Unsendable())])
        assert record.failure is not None
        assert "a_package_of_this_machine" in record.failure.message


class Unsendable(Constant):
    """A schedule whose code is not to be had where the job is done."""

    def __init__(self) -> None:
        object.__setattr__(self, "lr", 0.1)

    def __reduce__(self) -> Any:
        return __import__, ("a_package_of_this_machine",)


def test_an_actor_that_dies_is_no_attempt_unless_the_job_ends_each(ray: Any, tmp_path: Path) -> None:
    with closing(executor(partial(dying, tmp_path), workers=1)) as kept, placed() as told:
        assert [each.status for each in kept.run(SPEC, batch(1))] == ["ok"]
        assert len(list(tmp_path.iterdir())) == 3
    assert told == [(*batch(1), "", "worker 1")] * 4
    with closing(executor(partial(dying, tmp_path / "always"), workers=1)) as kept:
        (record,) = kept.run(SPEC, batch(1))
    assert record.failure is not None
    assert record.failure.kind == "WorkerDied"
    assert record.failure.message.startswith("4 workers died of it: ")
    assert ray.is_initialized()


def dying(marks: Path, spec: TrainSpec, job: SegmentJob) -> Any:
    """Kill the process that does the job: the first three, or all where there is no such folder."""
    marks.parent.joinpath("mark").touch()
    if not marks.is_dir() or len(list(marks.iterdir())) < 3:
        if marks.is_dir():
            (marks / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return scripted_attempt(spec, job)


def test_a_search_waits_where_all_its_nodes_are_lost(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(executor()) as kept:
        assert [each.status for each in kept.run(SPEC, batch(2))] == ["ok"] * 2
        monkeypatch.setattr(ray, "nodes", list)
        for actor in kept.actors:
            ray.kill(actor.handle)
        assert [each.status for each in kept.run(SPEC, batch(2))] == ["ok"] * 2


@pytest.mark.slow
def test_actors_killed_at_random_change_nothing(ray: Any, tmp_path: Path) -> None:
    ended, draw = threading.Event(), random.Random(0)
    with closing(executor(partial(attempt, tmp_path / "ray"))) as kept:

        def kill() -> None:
            killed = 0
            while killed < 3 and not ended.wait(draw.random()):
                if live := [actor for actor in list(kept.actors) if actor.job]:
                    ray.kill(draw.choice(live).handle)
                    killed += 1

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            jobs = batch(4, steps=3000)
            records = {record.key: record.digests["losses"] for record in kept.run(SPEC, jobs)}
        finally:
            ended.set()
            killer.join()
    assert records == {job.key(SPEC): attempt(tmp_path / "here", SPEC, job).digests["losses"] for job in jobs}


@pytest.mark.usefixtures("ray")
def test_a_job_that_no_node_has_room_for_is_refused() -> None:
    with closing(executor(cpus_per_job=1000.0)) as kept, pytest.raises(UsageError, match="a job holds 1000 CPU"):
        list(kept.run(SPEC, batch(1)))


@pytest.mark.usefixtures("ray")
def test_a_worker_that_cannot_start_is_told() -> None:
    with (
        closing(executor(Unsendable())) as kept,
        pytest.raises(LrctlError, match=r"no worker can be started, the last one said .*a_package_of_this_machine"),
    ):
        list(kept.run(SPEC, batch(1)))
