"""What tests of the session start from: a store, a search that was never interrupted, an observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lrctl import hookimpl
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch
from lrctl.registry.registry import registry
from searches import search


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of the small search, never interrupted."""
    return search(tmp_path_factory.mktemp("reference") / "store")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store"


@dataclass(eq=False)
class Watch:
    """An observer that calls a function before each batch and after each job."""

    before_batch: Callable[[Batch], None] | None = None
    after_job: Callable[[JobResult], None] | None = None

    @hookimpl
    def batch_started(self, batch: Batch) -> None:
        if self.before_batch:
            self.before_batch(batch)

    @hookimpl
    def job_finished(self, result: JobResult) -> None:
        if self.after_job:
            self.after_job(result)


@pytest.fixture
def watch() -> Iterator[Callable[..., None]]:
    """Registers observers for the length of a test."""
    watches: list[Watch] = []

    def add(**calls: Any) -> None:
        watches.append(Watch(**calls))
        registry().manager.register(watches[-1])

    yield add
    for each in watches:
        registry().manager.unregister(each)
