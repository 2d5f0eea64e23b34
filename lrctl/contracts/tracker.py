"""Contract: what a search is recorded with, beside its store.

A tracker is told what happens, and decides nothing: it enters no key, and a search is the same with it and without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lrctl.contracts.result import Status
from lrctl.contracts.strategy import Segment


@dataclass(frozen=True, slots=True)
class TrackedSearch:
    """A search that begins, or goes on: then all that is known of it is told again.

    Attributes:
        run: its name; the same search has the same.
        store: the folder of its store, or its URL.
        folder: where the tracker may keep what it writes, unless it was told another place. It need not exist.
        config: the tables of its recipe, with all that decides the result spelt out.
    """

    run: str
    command: str
    store: Path | str
    folder: Path
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrackedJob:
    """A job that was trained, or found in the store (`reused`). It is not judged yet.

    Attributes:
        title: of the batch that it belongs to, such as "segment 3 of 10".
        parent: the key of the job from whose checkpoint it was trained.
        mean_loss: as in `JobResult`; +inf where the job was stopped.
        lrs: the LR that each of its steps was really trained with.
        losses: of each of its steps; none, as of `lrs`, where the job was stopped.
        score: the mean loss over reserved batches, if asked for.
    """

    key: str
    title: str
    start: int
    stop: int
    parent: str | None
    status: Status
    reused: bool
    mean_loss: float
    lrs: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()
    score: float | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackedResult:
    """What a search came to.

    Attributes:
        document: all of it, as `--json` prints it but for its digest and where its files are.
        lrs: the LR of each step of the run that is handed over; none where nothing was trained.
        losses: of the same steps.
        files: what there is to read of it, by what it is: `result` and, if it found one, `schedule`.
    """

    document: Mapping[str, Any]
    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    files: Mapping[str, Path]


@runtime_checkable
class Tracker(Protocol):
    """Records a search. Built as `build(params)`, which returns at once and imports nothing heavy.

    Its methods are called one after the other in a thread of its own, on copies of its own. One that raises, exits or
    hangs is dropped with a warning, and the search goes on.

    Raises:
        MissingError: by `build`: a package that it needs is not installed. The search does not begin then.
    """

    def search_started(self, search: TrackedSearch, /) -> None:
        """The first call."""

    def job_finished(self, job: TrackedJob, /) -> None:
        """A job has a result. One that is reused may have been told before."""

    def choice_made(self, choice: Segment, /) -> None:
        """The search has decided on a segment."""

    def search_finished(self, result: TrackedResult, /) -> None:
        """The search has come to its result; not called where it failed or was interrupted."""

    def close(self) -> None:
        """The last call, however the search went."""
