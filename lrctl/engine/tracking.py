"""Trackers at work: each in a thread of its own, from where it can neither change, stop nor delay a search."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Full, Queue
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Segment
from lrctl.contracts.tracker import TrackedJob, TrackedResult, TrackedSearch, Tracker
from lrctl.errors import LrctlError, StoreError
from lrctl.recipe.schema import Recipe
from lrctl.registry.hookspecs import hookimpl
from lrctl.registry.registry import PluginWarning, registry
from lrctl.storage.opening import check_no_link
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store

LONGEST = 10_000
"""Calls that may wait for a tracker: one that is further behind does not keep up."""

AFTER_FAILURE = 2.0
"""Seconds that a search that failed or was interrupted waits for its trackers."""

FOLDER = "tracked"
"""Where in the store trackers keep what they write."""


@contextmanager
def tracked(store: Store, recipe: Recipe) -> Iterator[None]:
    """Have the trackers of a recipe record the search of the block.

    Raises:
        LrctlError: a tracker cannot be used at all, such as for want of a package.
    """
    if not recipe.trackers:
        yield
        return
    for folder in (FOLDER, *(f"{FOLDER}/{choice.name}" for choice in recipe.trackers)):
        check_no_link(store.path, folder, store.objects.beside)
    observers = [begun for choice in recipe.trackers if (begun := begin(choice.name, choice.params, store))]
    manager, wait = registry().manager, min(AFTER_FAILURE, recipe.track.wait)
    for observer in observers:
        manager.register(observer, name=str(observer))
    with silenced({observer.thread for observer in observers}):
        try:
            yield
            wait = recipe.track.wait
        finally:
            deadline = time.monotonic() + wait
            for observer in observers:
                manager.unregister(observer)
                observer.tell(None)
            for observer in observers:
                observer.end(deadline)


@contextmanager
def silenced(threads: Collection[threading.Thread]) -> Iterator[None]:
    """Ignore what is warned of in some threads; elsewhere nothing changes.

    `warnings.catch_warnings` would change it everywhere. Where warnings are errors, one of a tracker's library, such as
    of a deprecated function, would end the tracker.
    """

    class InThem:
        def match(self, _: str) -> bool:
            return threading.current_thread() in threads

    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    filters.insert(0, own := ("ignore", InThem(), Warning, None, 0))
    try:
        yield
    finally:
        with suppress(ValueError):
            filters.remove(own)


def begin(name: str, params: Any, store: Store) -> Tracking | None:
    """A tracker at work; one whose own code fails is dropped at once."""
    try:
        tracker = registry().get("tracker", name).target(params)
    except (LrctlError, KeyboardInterrupt):
        raise
    except BaseException as error:
        drop(name, described(error))
        return None
    return Tracking(name, tracker, store)


@dataclass(slots=True, eq=False)  # pluggy wants plugins that can be hashed
class Tracking:
    """An observer that hands on what it sees, to be told in the tracker's thread.

    Attributes:
        calls: what the tracker is still to be told; None is the end.
        failure: why it is told no more.
        dropped: whether the user knows.
    """

    name: str
    tracker: Tracker
    store: Store
    calls: Queue[Callable[[], None] | None] = field(default_factory=lambda: Queue(LONGEST))
    thread: threading.Thread = field(init=False)
    failure: str = ""
    dropped: bool = False
    title: str = ""
    choices: set[Segment] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.work, name=str(self), daemon=True)
        self.thread.start()

    def __str__(self) -> str:
        return f"tracker {self.name}"

    # In the search's thread

    @hookimpl
    def search_started(self, run: str, command: str, config: Mapping[str, Any]) -> None:
        folder = self.store.path / FOLDER / self.name
        search = TrackedSearch(run, command, self.store.address, folder, config)
        self.tell(partial(self.tracker.search_started, search))

    @hookimpl
    def batch_started(self, batch: Batch) -> None:
        self.title = batch.title
        self.tell_choices(batch.trace)

    @hookimpl
    def job_finished(self, job: SegmentJob, result: JobResult, reused: bool) -> None:
        if job.steps:
            self.tell(partial(self.record_job, self.title, job, result, reused))

    @hookimpl
    def search_finished(self, result: RunResult) -> None:
        self.tell_choices(result.segments)
        self.tell(partial(self.record_result, result))

    def tell_choices(self, trace: tuple[Segment, ...]) -> None:
        for choice in trace:
            if choice not in self.choices:
                self.choices.add(choice)
                self.tell(partial(self.tracker.choice_made, choice))

    def tell(self, call: Callable[[], None] | None) -> None:
        try:
            self.calls.put_nowait(call)
        except Full:
            self.failure = self.failure or f"it does not keep up: {LONGEST} calls wait for it"
        self.heed()

    def heed(self) -> None:
        """Tell the user, once, that the tracker is dropped."""
        if self.failure and not self.dropped:
            self.dropped = True
            drop(self.name, self.failure)

    def end(self, deadline: float) -> None:
        """Wait until the tracker has been told all, up to a moment."""
        if not self.dropped:
            self.thread.join(max(0.0, deadline - time.monotonic()))
            if self.thread.is_alive():
                self.failure = f"it did not come to its end in time: {self.calls.qsize()} calls wait for it"
            self.heed()

    # In the tracker's thread

    def work(self) -> None:
        try:
            while (call := self.calls.get()) is not None and not self.failure:
                call()
        except BaseException as error:
            self.failure = described(error)
            with suppress(BaseException):
                self.tracker.close()
        else:
            self.closed()

    def closed(self) -> None:
        try:
            self.tracker.close()
        except BaseException as error:
            self.failure = described(error)

    def record_job(self, title: str, job: SegmentJob, result: JobResult, reused: bool) -> None:
        losses, lrs = self.curve(partial(self.store.losses, result.key))
        told = (result.status, reused, result.mean_loss, lrs, losses, result.score, result.metrics)
        self.tracker.job_finished(TrackedJob(result.key, title, job.start, job.stop, job.parent, *told))

    def record_result(self, result: RunResult) -> None:
        losses, lrs = self.curve(partial(self.store.history, result.checkpoint)) if result.checkpoint else ((), ())
        files = self.store.runs.local_files(result)
        self.tracker.search_finished(TrackedResult(result.to_json(), lrs, losses, files))

    @staticmethod
    def curve(read: Callable[[], Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The losses and the LRs of some steps; none where the job was stopped, or they are gone."""
        try:
            table = read()
        except StoreError:
            return (), ()
        return tuple(table["loss"].tolist()), tuple(table["lr"].tolist())


def described(error: BaseException) -> str:
    return str(error) if isinstance(error, LrctlError) else f"{type(error).__name__}: {error}"


def drop(name: str, why: str) -> None:
    warnings.warn(f"tracker {name} is dropped, and the search goes on without it: {why}", PluginWarning, stacklevel=2)
