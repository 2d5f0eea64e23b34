"""What a person sees while a search runs: a live table on a terminal, a line per decision elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from lrctl.analysis.units import duration
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, RunSpec, Segment
from lrctl.registry.hookspecs import hookimpl
from lrctl.registry.registry import registry
from lrctl.report.console import plain, show
from lrctl.report.job_words import amount, cropped, decision, label, loss_of, window
from lrctl.report.layout import packed
from lrctl.storage.run_result import RunResult

ROUND_TABLE = 4
"""Lines of the screen that rows cannot have: the title, the columns, the totals, and where the cursor is."""

TABLE_ROOM = 17
"""What a loss and the spaces between columns take of a line."""

STATUS_ROOM = 15
"""What a status takes of a line at the least."""

LONG = 5.0
"""Seconds from which on a job that runs tells for how long."""

LINE_EVERY = 60.0
"""Seconds between two lines about data that is made ready, where there is no terminal."""


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[None]:
    """Show every search of the block on stderr, unless `quiet`."""
    if quiet:
        yield
        return
    console = Console(stderr=True)
    observer = Progress(console)
    manager = registry().manager
    manager.register(observer, name="progress")
    # Twice a second: a table of 20 rows takes 7 ms to draw.
    live = Live(get_renderable=observer.table, console=console, refresh_per_second=2, transient=True)
    try:
        with live if console.is_terminal else nullcontext():
            yield
    finally:
        manager.unregister(name="progress")


@dataclass(slots=True, eq=False)  # pluggy wants plugins that can be hashed
class Progress:
    """What a search has told so far.

    Attributes:
        pace: the seconds that its jobs have trained for, and the steps that they trained.
    """

    console: Console
    began: float = field(default_factory=time.monotonic)
    batch: Batch | None = None
    run: RunSpec | None = None
    done: dict[SegmentJob, JobResult] = field(default_factory=dict)
    started: dict[SegmentJob, float] = field(default_factory=dict)
    places: dict[SegmentJob, str] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    announced: set[Segment] = field(default_factory=set)
    reused: int = 0
    stopped: int = 0
    ahead: int = 0
    steps: int = 0
    pace: tuple[float, int] = (0.0, 0)
    preparation: tuple[str, int, int] = ("preparing data", 0, 0)
    said: float = field(default_factory=time.monotonic)

    @hookimpl
    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far the data is; off a terminal by a line now and then."""
        self.preparation = (what, done, total)
        if not self.console.is_terminal and time.monotonic() - self.said >= LINE_EVERY:
            self.said = time.monotonic()
            show(self.console, amount(what, done, total))

    @hookimpl
    def batch_started(self, batch: Batch, run: RunSpec) -> None:
        prefix = batch.title.rpartition(": ")[0]
        for segment in batch.trace:
            if segment not in self.announced:
                self.announced.add(segment)
                line = decision(segment)
                show(self.console, f"{prefix}: {line}" if prefix else line)
        if not batch.judge and not self.console.is_terminal and (self.batch is None or self.batch.title != batch.title):
            show(self.console, batch.title)
        self.batch, self.run, self.done, self.started, self.places = batch, run, {}, {}, {}

    @hookimpl
    def job_started(self, job: SegmentJob) -> None:
        """Note when a job was taken; one that is tried again begins anew."""
        self.started[replace(job, anew=False)] = time.monotonic()

    @hookimpl
    def job_placed(self, job: SegmentJob, host: str, worker: str) -> None:
        """Note where a job runs; off a terminal, each other machine that is used is told once."""
        name = host.partition(".")[0]
        self.places[replace(job, anew=False, stop_above=None)] = ", ".join(filter(None, (name, worker)))
        if host and host not in self.hosts and not self.console.is_terminal:
            show(self.console, f"jobs run on {host}")
        self.hosts.add(host)

    @hookimpl
    def working_ahead(self, jobs: int) -> None:
        """Note how many jobs are trained that the search has not asked for."""
        self.ahead = jobs

    @hookimpl
    def job_finished(self, job: SegmentJob, result: JobResult, reused: bool) -> None:
        """Take a result into the table. A job that is reused may have been told before."""
        self.done[job] = result
        new = result.key not in self.counted
        self.counted.add(result.key)
        self.reused += new and reused
        self.steps += result.steps if new or not reused else 0
        self.stopped += result.status == "stopped" and not reused
        if not reused and not job.frozen:  # forward passes alone are quicker
            seconds, steps = self.pace
            self.pace = seconds + result.seconds, steps + result.steps

    @hookimpl
    def search_finished(self, result: RunResult) -> None:
        """Repeat what the user should know, where it is read last."""
        self.batch = None
        for note in result.notes:
            show(self.console, plain("note:", "yellow") + plain(f" {note}"))

    def table(self) -> Group:
        """The batch at work: a row per job, as many as there is room for, and a line of totals."""
        batch, done = self.batch, dict(self.done)  # drawn in a thread of its own, while results come in
        if batch is None:
            what, ready, total = self.preparation
            bar = [ProgressBar(total, ready, width=40)] if total else []
            return Group(plain(amount(what, ready, total)), *bar)
        if not batch.jobs:  # what is computed without training
            return Group(plain(batch.title, "bold"), plain(duration(time.monotonic() - self.began)))
        rows = window([job in done for job in batch.jobs], self.console.height - ROUND_TABLE)
        part = "" if rows == slice(0, len(batch.jobs)) else f" (rows {rows.start + 1}-{rows.stop} of {len(batch.jobs)})"
        totals = packed(self.totals(batch), self.console.width, ", ")
        jobs = self.jobs(batch, done, rows)
        return Group(plain(batch.title + part, "bold"), jobs, *(plain(line) for line in totals))

    def jobs(self, batch: Batch, done: Mapping[SegmentJob, JobResult], rows: slice) -> Table:
        """A row per job: bright where it is the best so far, dim where it waits."""
        optimizers = any(job.optimizer for job in batch.jobs)
        first = "LR at its end" if batch.judge else "schedule"
        columns = [*["optimizer"][:optimizers], first, "mean loss", "status"]
        table = Table(*(Column(name, no_wrap=True) for name in columns), box=None, pad_edge=False)
        lowest = min((r.mean_loss for r in done.values() if math.isfinite(r.mean_loss)), default=None)
        jobs = batch.jobs[rows]
        labels = [label(job, judged=batch.judge) for job in jobs]
        for places in (self.places, {}):  # where there is no room for both, what a job is comes before where it runs
            told = [self.status(job, done.get(job), places.get(job, "")) for job in jobs]
            room = self.console.width - sum(map(len, columns[:-3])) - TABLE_ROOM - max(STATUS_ROOM, *map(len, told))
            if room >= max(map(len, labels)):
                break
        for job, name, status in zip(jobs, labels, told, strict=True):
            result = done.get(job)
            named = [job.optimizer.name if job.optimizer else "recipe's"][:optimizers]
            best = result is not None and result.mean_loss == lowest
            style = "bold green" if best else "" if result or job in self.started else "dim"
            loss = loss_of(result) if result else ""
            table.add_row(
                *named,
                plain(cropped(name, room)),
                loss,
                status,
                style=style,
            )
        return table

    def status(self, job: SegmentJob, result: JobResult | None, place: str = "") -> str:
        """How far a job is; of one that runs where and, if for long, how long, and about how much of it is done."""
        if result:
            return result.status
        if job not in self.started:
            return "waiting"
        spent, running = time.monotonic() - self.started[job], f"running on {place}" if place else "running"
        return running if spent < LONG else ", ".join([running, duration(spent), *self.share(job, spent)])

    def share(self, job: SegmentJob, spent: float) -> list[str]:
        """About how much of a job is done after so many seconds, by what steps of this search have taken, if known."""
        seconds, steps = self.pace
        whole = 0.0 if job.frozen or not steps else seconds / steps * (job.stop - job.start)
        return [f"about {min(99, int(100 * spent / whole))} %"] if whole else []

    def totals(self, batch: Batch) -> list[str]:
        assert self.run is not None
        spent = time.monotonic() - self.began
        job = batch.jobs[0]
        done = job.start - self.run.start + (job.stop - job.start) * len(self.done) / len(batch.jobs)
        share = done / self.run.left
        # Whole runs are no share of one run.
        left = [f"about {duration(spent * (1 - share) / share)} left"] if 0 < share < 1 and batch.judge else []
        stopped = f", {self.stopped} stopped" if self.stopped else ""
        ahead = [f"{self.ahead} running ahead"] if self.ahead else []
        runs = f"{self.steps} steps = {self.steps / self.run.left:.1f} full runs"
        return [f"{len(self.counted)} jobs ({self.reused} reused{stopped})", runs, *ahead, duration(spent), *left]
