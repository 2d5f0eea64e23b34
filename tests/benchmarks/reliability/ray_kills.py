"""Searches on Ray that lose an actor, a node or their own process (SIGKILL) at random moments, beside `serial`.

    PYTHONPATH=tests python -m benchmarks.reliability.ray_kills --count 50 --seed 0

Each case takes a command in turn. A search loses three actors or nodes and has to come to its end; one whose own
process is killed is given again, and once in two it shares a cluster with what the first left there. Document, cost,
losses and checkpoints must be those of the same search in one process, and no process of Ray may outlive its search.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.reliability.commands import answer, differences
from benchmarks.reliability.kills import Case, alive
from benchmarks.reliability.processes import actors, below, is_agent, title
from lrctl_executors.ray.cluster import end_started
from searches import facts

STEPS = {"semilocal": 600, "lookahead": 600, "baseline": 150}
"""Commands, and how long their runs are, so that a search takes some seconds."""

SPAN = 20.0
"""Seconds, from when the first actor is at work, in which a search is hit; its own process, from its start."""

LONGEST = 500.0
"""Seconds after which a search counts as one that hangs."""

HITS = {"actor": 3, "node": 6, "driver": 3}
"""How often a search is hit: a job may lose three actors whose nodes live on, see `LOSSES` of the executor."""


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def check_ended(pids: list[int]) -> None:
    """Wait for processes of Ray to end. Its two agents on a node, idle by then, take a minute to miss the others."""
    deadline = time.monotonic() + 60
    while left := [pid for pid in pids if alive(pid) and not is_agent(pid)]:
        names = [" ".join(title(pid).split())[:100] for pid in left]
        assert time.monotonic() < deadline, f"processes outlived their search: {names}"
        time.sleep(0.1)


def patiently(start: Callable[[], Any]) -> Any:
    """What starts a part of Ray, tried three times: the 30 seconds that Ray allows itself are few on a busy machine."""
    for _ in range(2):
        try:
            return start()
        except Exception as error:
            end_started(error)
    return start()


@dataclass
class Nodes:
    """A cluster on this machine: a head without room for jobs, and two nodes with room for one each.

    They have addresses of their own, since a process that connects takes a node of its own address for its own.
    """

    made: Any
    count: int = 1
    lost: list[int] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.made.address)

    def add(self) -> None:
        self.count += 1
        address = f"127.0.0.{self.count}"
        patiently(partial(self.made.add_node, node_ip_address=address, num_cpus=1, object_store_memory=80 * 2**20))

    def lose(self, draw: random.Random) -> None:
        """End a node, whole or only the process that its workers depend on, and have another join in its place."""
        node = draw.choice(sorted(self.made.worker_nodes, key=lambda each: str(each.node_ip_address)))
        raylet = node.all_processes["raylet"][0].process
        workers = below(raylet.pid)
        kill(raylet.pid, *(workers if draw.random() < 0.5 else ()))
        raylet.wait()
        self.lost += workers
        # Ray's own `remove_node` asserts that all have ended by now, and takes the raylet for one that has to live.
        self.made.worker_nodes.discard(node)
        self.add()


@contextmanager
def cluster() -> Iterator[Nodes]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 * 2**20}
    nodes = Nodes(patiently(partial(Cluster, initialize_head=True, head_node_args=head)))
    try:
        nodes.add()
        nodes.add()
        yield nodes
    finally:
        left = [pid for pid in below(os.getpid()) if "multiprocessing" not in title(pid)]
        nodes.made.shutdown()
        check_ended(nodes.lost + left)


def on_ray(folder: Path, command: str, address: str = "") -> Case:
    place = (f"executor.address={address}",) if address else ("executor.cpus_per_job=0.25",)
    return Case(folder, command, "ray", (*length(command), *(f"--set={each}" for each in place)))


def length(command: str) -> tuple[str, ...]:
    return "--steps", str(STEPS[command]), "--set=training.stop_early=false"


def outcome(case: Case, document: Mapping[str, Any]) -> dict[str, Any]:
    """All that must be the same: the answer with its cost, and the bits of what was trained."""
    store = case.folder / "store"
    digests = {name: json.loads(content)["digests"] for name, (_, _, content) in facts(store).items()}
    losses = {name: content for name, (_, _, content) in facts(store, "losses").items()}
    return {**answer(dict(document)), "digests": digests, "losses": losses}


def ended(process: BaseProcess, case: Case, started: list[int]) -> dict[str, Any]:
    """What a search came to that was left alone from here on."""
    process.join(LONGEST)
    if process.exitcode is None:
        kill(process.pid or 0)
        raise AssertionError(f"it hangs: {(case.folder / 'err').read_text()!r}")
    said = (case.folder / "err").read_text()
    assert (process.exitcode, said) == (0, ""), f"exit code {process.exitcode}: {said}"
    check_ended(started)
    return outcome(case, json.loads((case.folder / "out").read_text()))


def at_work(process: BaseProcess, where: int) -> bool:
    """Wait until the first actor is there, below a process; whether there is one before the search ends."""
    while process.exitcode is None:
        if actors(where):
            return True
        time.sleep(0.1)
    return False


Hit = Callable[[int], bool]
"""Ends something of a search that runs below a process; whether there was anything."""


def hit_while_it_runs(case: Case, where: int | None, moments: list[float], hit: Hit) -> tuple[int, dict[str, Any]]:
    """Start a search and hit it at some moments; how often there was something to hit, and what it came to."""
    process, hits = case.start(), 0
    where = where or process.pid or 0
    if at_work(process, where):
        began, started = time.monotonic(), []
        for moment in sorted(moments):
            process.join(max(0.0, began + moment - time.monotonic()))
            if process.exitcode is None:
                started += below(process.pid or 0)
                hits += hit(where)
        return hits, ended(process, case, started)
    return hits, ended(process, case, [])


def killed(case: Case, after: float) -> bool:
    """Start a search and kill it at some moment; whether it was still running."""
    process = case.start()
    process.join(after)
    started, running = below(process.pid or 0), process.exitcode is None
    process.kill()
    process.join()
    check_ended(started)
    return running


def lose_actor(draw: random.Random, where: int) -> bool:
    if found := actors(where):
        kill(draw.choice(sorted(found)))
    return bool(found)


def case_of(kind: str, case: Case, nodes: Nodes | None, draw: random.Random) -> tuple[int, dict[str, Any]]:
    """How many hits a case took, and what its search came to."""
    moments = [draw.uniform(0, SPAN) for _ in range(HITS[kind])]
    if kind == "driver":
        hits = sum(killed(case, moment) for moment in moments)
        process = case.start()
        return hits, ended(process, case, [])
    if kind == "actor":
        return hit_while_it_runs(case, os.getpid() if nodes else None, moments, lambda where: lose_actor(draw, where))

    def lose_node(_: int) -> bool:
        assert nodes
        nodes.lose(draw)
        return True

    return hit_while_it_runs(case, os.getpid(), moments, lose_node)


def ray_kills(kind: str, count: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """Hit searches so many times; how many searches that took, and what was wrong."""
    draw, alone, wrong = random.Random(f"{kind} {seed}"), dict[str, dict[str, Any]](), list[str]()
    hits = cases = 0
    with cluster() if kind != "actor" else nullcontext() as nodes:
        while hits < count:
            command = list(STEPS)[cases % len(STEPS)]
            if command not in alone:
                serial = Case(folder / command, command, "serial", length(command))
                alone[command] = outcome(serial, serial.finished())
            shared = nodes if kind == "node" or cases // len(STEPS) % 2 else None
            case, began = (
                on_ray(folder / f"{kind}-{cases}", command, shared.address if shared else ""),
                time.monotonic(),
            )
            try:
                took, found = case_of(kind, case, shared, draw)
                hits += took
                told = "" if found == alone[command] else differences(found, alone[command])
            except AssertionError as error:
                told = str(error)
            wrong += [f"case {cases} {kind} {command}: {told}"] if told else []
            print(f"{hits} {kind}s in {cases + 1} cases, {time.monotonic() - began:.0f} s {told}", file=sys.stderr)
            cases += 1
    return cases, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50, help="hits of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("actor", "node", "driver"), action="append")
    options = parser.parse_args()
    failed = False
    for kind in options.only or ("actor", "node", "driver"):
        with tempfile.TemporaryDirectory() as folder:
            cases, wrong = ray_kills(kind, options.count, options.seed, Path(folder))
        print(f"{options.count} {kind}s lost in {cases} searches: {len(wrong)} wrong", *wrong, sep="\n", flush=True)
        failed |= bool(wrong)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
