"""What the trackers have in common: a page for the search and one for each job, whatever a library calls these."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from lrctl.contracts.strategy import Segment
from lrctl.contracts.tracker import TrackedJob, TrackedResult, TrackedSearch
from lrctl.errors import LrctlError, MissingError, StoreError

POINTS = 1000
"""Of a curve at the most: a longer one is told by the means of so many windows."""

DRAWING = threading.Lock()
"""Held while figures are drawn: matplotlib is for one thread at a time."""

Point = tuple[int, Mapping[str, float]]
"""A step, and values by name."""


class Page(Protocol):
    """A run as a library keeps it: that of a search, or of one of its jobs."""

    def log(self, points: Sequence[Point], /) -> None:
        """Keep values, which are finite or not."""

    def keep(self, files: Sequence[Path], /) -> None:
        """Keep files, PNG and JSON, which are gone afterwards."""

    def close(self) -> None:
        """Nothing more is to come."""


class Library(Protocol):
    def search(self, search: TrackedSearch, config: Mapping[str, Any], /) -> Page:
        """A page for a search, in the place of what is there of the same search."""

    def job(self, name: str, config: Mapping[str, Any], /) -> Page:
        """A page for a job of that search."""


@dataclass(slots=True)
class Recorder:
    """A tracker that writes to a library."""

    library: Library
    searches: list[TrackedSearch] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    known: set[tuple[str, str]] = field(default_factory=set)

    def search_started(self, search: TrackedSearch) -> None:
        self.searches.append(search)
        self.pages.append(self.library.search(search, {"command": search.command} | dict(flat(search.config))))

    def job_finished(self, job: TrackedJob) -> None:
        if (job.key, job.status) in self.known:
            return
        self.known.add((job.key, job.status))
        told = {name: getattr(job, name) for name in ("key", "title", "start", "stop", "parent", "status", "reused")}
        page = self.library.job(f"{job.start}-{job.stop}-{job.key[:8]}", told)
        page.log([*curve(job.start, job.losses, job.lrs), (job.stop, dict(values_of(job)))])
        page.close()

    def choice_made(self, choice: Segment) -> None:
        values = {"lr": choice.chosen, "mean_loss": choice.winner.mean_loss, "eps": choice.eps}
        self.pages[-1].log([(choice.stop, {f"choice/{name}": value for name, value in values.items()})])

    def search_finished(self, result: TrackedResult) -> None:
        page, told = self.pages[-1], result.document
        losses = {name: told[name] for name in ("train_loss", "validation_loss", "test_loss")}
        losses |= {f"cost/{name}": value for name, value in told["cost"].items()}
        known = {name: float(value) for name, value in losses.items() if value is not None}
        page.log([*curve(0, result.losses, result.lrs), (told["steps"], known)])
        page.keep([*result.files.values()])
        with TemporaryDirectory() as folder, DRAWING:
            page.keep(figures(self.searches[-1], Path(folder)))

    def close(self) -> None:
        for page in self.pages:
            page.close()
        self.pages.clear()


def curve(start: int, losses: Sequence[float], lrs: Sequence[float]) -> Iterator[Point]:
    """Mean losses of windows of steps, each at the window's last step and with its LR.

    >>> list(curve(10, (3.0, 2.0), (0.1, 0.2)))
    [(10, {'loss': 3.0, 'lr': 0.1}), (11, {'loss': 2.0, 'lr': 0.2})]
    """
    width = max(1, math.ceil(len(losses) / POINTS))
    for first in range(0, len(losses), width):
        window = losses[first : first + width]
        last = first + len(window) - 1
        yield start + last, {"loss": sum(window) / len(window), "lr": lrs[last]}


def values_of(job: TrackedJob) -> Iterator[tuple[str, float]]:
    """What a job came to. One that was stopped has no mean loss."""
    if math.isfinite(job.mean_loss):
        yield "mean_loss", job.mean_loss
    if job.score is not None:
        yield "score", job.score
    for split, metrics in job.metrics.items():
        yield from ((f"{split}/{name}", value) for name, value in metrics.items())


def flat(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Tables in tables as one, with dotted keys.

    >>> dict(flat({"training": {"steps": 40}}))
    {'training.steps': 40}
    """
    for name, value in tables.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def figures(search: TrackedSearch, folder: Path) -> list[Path]:
    """The figures of a finished run's report, as PNG in a folder; none where it has no report."""
    import lrctl

    with suppress(LrctlError):
        lrctl.report(search.run, store=search.store, out=folder)
    return sorted(folder.glob("*.png"))


def mark(search: TrackedSearch) -> str:
    """What tells a search from all others, in 16 digits."""
    return sha256(f"{search.store}\0{search.run}".encode()).hexdigest()[:16]


def check_no_links(*paths: Path) -> None:
    """Refuse to write, or to replace what is there, behind a link: it may lead out of a store.

    Raises:
        StoreError: one of the paths is a link.
    """
    if links := [path for path in paths if path.is_symlink()]:
        raise StoreError(f"{links[0]} is a link, and a tracker follows none; put the file or folder itself there")


def need(package: str) -> None:
    """Refuse to begin without a package.

    Raises:
        MissingError: it is not installed.
    """
    if find_spec(package) is None:
        raise MissingError(
            f"--track {package}: the package {package} is not installed; install it with "
            f"pip install 'lrctl[{package}]', or leave --track {package} out"
        )
