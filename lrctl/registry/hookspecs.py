"""The hooks a plugin may implement. `lrctl guide hooks` has a complete example of each.

A part and its parameters are given as objects, or as strings "module:name" that are imported when the part is first
used. By marks (`register(..., reference=True)`, see `MARKS` in registry.py) a part says what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

if TYPE_CHECKING:
    from lrctl.contracts.job import SegmentJob
    from lrctl.contracts.result import JobResult
    from lrctl.contracts.strategy import Batch, RunSpec

PROJECT = "lrctl"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Register = Callable[..., None]


class Outcome(Protocol):
    """What a search came to. The losses are None where nothing was trained or the loss is not finite."""

    @property
    def run(self) -> str:
        """The name of the run."""

    @property
    def train_loss(self) -> float | None:
        """Final training loss, smoothed."""

    @property
    def validation_loss(self) -> float | None:
        """Loss on the validation data."""

    @property
    def test_loss(self) -> float | None:
        """Loss on the test data."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about it."""

    def to_json(self) -> dict[str, Any]:
        """All of it: the document that `--json` prints, but for its digest and where its files are."""


@hookspec
def register_strategies(register: Register) -> None:
    """Call `register(function, name=..., params=Dataclass, help=...)` for each strategy."""


@hookspec
def register_schedules(register: Register) -> None:
    """Call `register(family, name=..., help=...)` for each schedule family, a frozen dataclass."""


@hookspec
def register_workloads(register: Register) -> None:
    """Call `register(build, name=..., params=Dataclass, help=...)`; `build(params, seed)` gives the workload."""


@hookspec
def register_executors(register: Register) -> None:
    """Call `register(build, name=..., params=Dataclass, help=...)`; `build(params, attempt)` gives the executor."""


@hookspec
def register_trackers(register: Register) -> None:
    """Call `register(build, name=..., params=Dataclass, help=...)`; `build(params)` gives the tracker."""


@hookspec
def preparing(what: str, done: int, total: int) -> None:
    """A workload makes its data ready: so far `done` of `total` (0: unknown). The return value is ignored."""


@hookspec
def search_started(run: str, command: str, config: Mapping[str, Any]) -> None:
    """A search begins or goes on: the name of its run, and its recipe as tables. The return value is ignored."""


@hookspec
def batch_started(batch: Batch, reused: int, run: RunSpec) -> None:
    """A search of `run` asks for `batch`, `reused` of whose jobs are known. The return value is ignored."""


@hookspec
def job_started(job: SegmentJob) -> None:
    """A job is taken to be trained, perhaps again: for lrctl's own progress. The return value is ignored."""


@hookspec
def job_placed(job: SegmentJob, host: str, worker: str) -> None:
    """A worker was given a job, perhaps again; `host` is empty on this machine. For lrctl's own progress."""


@hookspec
def working_ahead(jobs: int) -> None:
    """So many jobs are trained before they are asked for: for lrctl's own progress. The return value is ignored."""


@hookspec
def job_finished(job: SegmentJob, result: JobResult, reused: bool) -> None:
    """A job was trained, or found in the store (`reused`); it is not judged yet. The return value is ignored."""


@hookspec
def search_finished(result: Outcome) -> None:
    """A search is done. The return value is ignored."""
