"""Small searches and what they leave: for tests of the session, of resuming, of full disks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob
from lrctl.engine import run
from lrctl.engine.executors import Executors
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.registry.hookspecs import hookimpl
from lrctl.registry.registry import registry
from lrctl.storage.store import Store
from storages import raw

LRCTL = str(Path(sys.executable).with_name("lrctl"))
"""The command as it is installed."""


def smoke(**overrides: Any) -> Recipe:
    """The recipe `smoke` in this process; `training__steps=20` stands for `training.steps`."""
    changes = {name.replace("__", "."): value for name, value in overrides.items()}
    return recipes.read("smoke", {"executor.name": "serial", **changes})


SMALL = {"training__steps": 24, "training__stop_early": False, "workload__noise": 1.0, "workload__dim": 4} | {
    f"strategy__{strategy}__{name}": value
    for strategy in ("semilocal", "local")
    for name, value in (("segments", 3), ("grid_size", 2), ("grid", (0.3, 0.1, 0.01)), ("reference", False))
}


def small(**overrides: Any) -> Recipe:
    """A search of 11 jobs of 8 steps: 3 candidates, 4, and 4. Its path is another for eps 0, 0.05, and 0.48.

    No job is stopped, so that what is trained again can be counted.
    """
    return smoke(**SMALL | overrides)


def search(
    store: Path | str, recipe: Recipe | None = None, command: str = "semilocal", **options: Any
) -> dict[str, Any]:
    """The result document of a search."""
    result = run.search(command, recipe or small(), store=store, **options)
    return Store(store).runs.document(result)


def settled(document: dict[str, Any]) -> dict[str, Any]:
    """A result document without how long it took, and where its store is."""
    document = {name: value for name, value in document.items() if name not in ("files", "digest")}
    return {**document, "cost": {name: value for name, value in document["cost"].items() if name != "seconds"}}


def found(document: dict[str, Any]) -> dict[str, Any]:
    """A result document without what it cost, and which run found it."""
    return {name: value for name, value in document.items() if name not in ("cost", "run", "files", "digest")}


def facts(store: Path | str, folder: str = "jobs") -> dict[str, tuple[int, int, bytes]]:
    """The whole files of a folder of the store: inode, time of the last change, content."""
    paths = [path for path in (raw(store) / folder).iterdir() if not path.name.startswith(".")]
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in paths}


@contextmanager
def placed() -> Iterator[list[tuple[SegmentJob, str, str]]]:
    """Which jobs are given to which workers in the block: job, host and worker."""
    seen: list[tuple[SegmentJob, str, str]] = []

    class Seen:
        @hookimpl
        def job_placed(self, job: SegmentJob, host: str, worker: str) -> None:
            seen.append((job, host, worker))

    registry().manager.register(observer := Seen())
    try:
        yield seen
    finally:
        registry().manager.unregister(observer)


def forget(store: Store, key: str) -> None:
    """Take away all that a store has of a job."""
    for path in store.path.glob(f"*/{key}*"):
        path.unlink()


@contextmanager
def session_of(
    store: Path, recipe: Recipe, executor: Executor | None = None, *, fresh: bool = False, run: str = ""
) -> Iterator[Session]:
    """A session that answers single batches of jobs."""
    with closing(Executors()) as kept:
        place, spec = Store(store), replace(prepare(recipe), run=run)
        runner = JobRunner(place, spec, executor or kept.get(recipe.executor, place, spec.device), fresh)
        yield Session(runner, recipe)


def forkserver(*_: str) -> ForkServerContext:
    """How processes are started that have torch loaded already, which saves three seconds each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["lrctl.cli", "lrctl.training.trainer", "torch._dynamo"])
    return context
