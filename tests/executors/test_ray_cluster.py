"""What takes a Ray of its own: a search that is killed, and a cluster that loses a node."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lrctl.contracts import optimizers
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.engine.worker import attempt
from lrctl.errors import UsageError
from lrctl.storage.store import Store
from lrctl.testing import SPEC, Constant, scripted_attempt
from lrctl_executors.ray.executor import LOSSES, Ray
from lrctl_executors.ray.params import RayParams
from searches import SMALL, facts, found, placed, search, smoke

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'lrctl[ray]'"),
]
LONG = {**SMALL, "training__steps": 3000}
"""11 jobs of 1000 steps."""


def test_a_search_whose_driver_was_killed_goes_on(tmp_path: Path) -> None:
    long = [f"--set={key.replace('__', '.')}={json.dumps(value)}" for key, value in LONG.items()]
    where = [
        "--executor",
        "ray",
        "--workers",
        "2",
        "--set=executor.cpus_per_job=0.25",
        "--store",
        str(tmp_path / "ray"),
    ]
    command = [sys.executable, "-m", "lrctl", "semilocal", "--recipe", "smoke", *long, *where, "--json"]
    driver = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("ray/jobs/*.json"))) < 4:
        assert driver.poll() is None
        time.sleep(0.1)
    workers = children(driver.pid)
    driver.kill()
    driver.wait()
    assert workers
    while any(alive(pid) for pid in workers):  # Ray ends them, within seconds
        time.sleep(0.5)
    before = facts(tmp_path / "ray")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ray" not in done.stderr.replace(str(tmp_path), "")
    assert before.items() <= facts(tmp_path / "ray").items(), "a job was done twice"
    there = json.loads(done.stdout)
    here = search(tmp_path / "serial", smoke(**LONG))
    assert found(there)["segments"] == found(here)["segments"]


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
    return [child for child, parent in pairs if parent == pid]


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without room for a job, which is to have two nodes."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_job_may_lose_any_number_of_nodes_and_wait_for_another(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    (job,) = jobs = [SegmentJob(0, 5, Constant(1e-4), checkpoint=False)]
    with closing(Ray(RayParams(address=cluster.address), partial(slowly, tmp_path / "begun"))) as executor:
        results = executor.run(SPEC, jobs)
        with ThreadPoolExecutor(1) as thread:
            record = thread.submit(next, results)
            for lost in range(LOSSES + 2):
                while not (tmp_path / "begun").exists():
                    assert not record.done(), record.result()
                    time.sleep(0.1)
                if lost == LOSSES + 1:
                    (tmp_path / "go on").touch()
                else:
                    lose(cluster)
                    (tmp_path / "begun").unlink()
                    cluster.add_node(num_cpus=1)
        assert record.result() == scripted_attempt(SPEC, job)


def slowly(begun: Path, spec: TrainSpec, job: SegmentJob) -> Any:
    """A job that ends when it may go on."""
    begun.touch()
    while not begun.with_name("go on").exists():
        time.sleep(0.1)
    return scripted_attempt(spec, job)


def lose(cluster: Any) -> None:
    """End a node at once, as a failure of its power does; Ray's own `remove_node` lets it say goodbye."""
    node = cluster.worker_nodes.pop()
    raylet = node.all_processes["raylet"][0].process
    workers = children(raylet.pid)
    raylet.kill()
    raylet.wait()
    for pid in workers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_node_that_is_lost_costs_no_attempt(cluster: Any, tmp_path: Path) -> None:
    spec = TrainSpec("linear-regression", {}, "", 0, optimizers.AdamW())
    jobs = [SegmentJob(0, 3000, Constant(1e-4 * (1 + i)), checkpoint=False) for i in range(8)]
    with closing(Ray(RayParams(address=cluster.address), partial(attempt, tmp_path / "ray"))) as executor:
        with pytest.raises(UsageError, match="a job holds 1 CPU, and a node has at most 0 CPU"):
            next(executor.run(spec, jobs))
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        results = executor.run(spec, jobs)
        with placed() as told:
            records = [next(results)]
        while len({actor.place.node for actor in executor.actors if actor.place}) < 2:
            records.append(next(results))
        cluster.remove_node(nodes[0])
        records += results
    assert {host for _, host, _ in told} == {platform.node()}
    assert [record.status for record in records] == ["ok"] * 8
    assert {record.key: replace(record, seconds=0.0) for record in records} == {
        job.key(spec): replace(attempt(tmp_path / "here", spec, job), seconds=0.0) for job in jobs
    }
    assert Store(tmp_path / "ray").record(jobs[0].key(spec))
