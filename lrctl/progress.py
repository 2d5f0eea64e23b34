"""What a person sees while a search runs: a live table on a terminal, a line per decision elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lrctl import hookimpl
from lrctl.job import SegmentJob, SegmentResult
from lrctl.plugins import registry
from lrctl.schedule import AdaptiveSchedule, PiecewiseLinear, params_of
from lrctl.strategy import Batch, Problem, Segment


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
        if console.is_terminal:
            with live:
                yield
        else:
            yield
    finally:
        manager.unregister(name="progress")


@dataclass(slots=True, eq=False)  # pluggy wants plugins that can be hashed
class Progress:
    """An observer like any plugin's."""

    console: Console
    began: float = field(default_factory=time.monotonic)
    batch: Batch | None = None
    run: Problem | None = None
    done: dict[int, SegmentResult] = field(default_factory=dict)
    told: set[Segment] = field(default_factory=set)
    jobs: int = 0
    reused: int = 0
    steps: int = 0

    @hookimpl
    def batch_started(self, batch: Batch, reused: int, run: Problem) -> None:
        """Say what was decided, and turn to the next batch."""
        self.tell(batch)
        if not batch.judge and not self.console.is_terminal and (self.batch is None or self.batch.title != batch.title):
            self.console.print(Text(batch.title), soft_wrap=True)
        self.batch, self.run, self.done = batch, run, {}
        self.reused += reused

    @hookimpl
    def job_finished(self, job: SegmentJob, result: SegmentResult) -> None:
        """Take a result into the table."""
        self.done[id(job)] = result
        self.jobs += 1
        self.steps += result.steps

    @hookimpl
    def search_finished(self, document: dict[str, Any]) -> None:
        """Repeat what the user should know, where it is read last."""
        self.batch = None
        for note in document["notes"]:
            self.console.print(Text.assemble(("note:", "yellow"), f" {note}"), soft_wrap=True)

    def tell(self, batch: Batch) -> None:
        """One line per decision that was not told yet."""
        for segment in batch.trace:
            if segment not in self.told:
                self.told.add(segment)
                prefix = batch.title.rpartition(": ")[0]
                line = decision(segment)
                self.console.print(Text(f"{prefix}: {line}" if prefix else line), soft_wrap=True)

    def table(self) -> Group:
        """The batch at work: a row per candidate, and a line of totals."""
        batch, done = self.batch, dict(self.done)  # drawn in a thread of its own, while results come in
        if batch is None:
            return Group(Text("preparing data"))
        table = Table("LR at its end" if batch.judge else "run", "mean loss", "status", box=None, pad_edge=False)
        finite = [r.mean_loss for r in done.values() if math.isfinite(r.mean_loss)]
        for job in batch.jobs:
            result = done.get(id(job))
            lr = label(job)
            best = bool(result and finite and result.mean_loss == min(finite))
            loss = f"{result.mean_loss:.4f}" if result and result.steps else ""
            table.add_row(lr, loss, result.status if result else "...", style="bold green" if best else "")
        return Group(Text(batch.title, "bold"), table, Text(self.totals(batch)))

    def totals(self, batch: Batch) -> str:
        """Jobs, steps, cost and the time left at this pace."""
        assert self.run is not None
        spent = time.monotonic() - self.began
        job = batch.jobs[0]
        share = (job.start + (job.stop - job.start) * len(self.done) / len(batch.jobs)) / self.run.steps
        # Whole runs are no share of one run.
        left = f", about {clock(spent * (1 - share) / share)} left" if 0 < share < 1 and batch.judge else ""
        return (
            f"{self.jobs} jobs ({self.reused} reused), {self.steps} steps = "
            f"{self.steps / self.run.steps:.1f} plain runs, {clock(spent)}{left}"
        )


def label(job: SegmentJob) -> str:
    """What sets a job apart from the others of its batch: the LR at its end or, of a whole run, its schedule."""
    if job.start == job.stop:
        return "evaluation"
    if isinstance(job.schedule, AdaptiveSchedule):
        return "adaptive"
    if job.evaluate or not isinstance(job.schedule, PiecewiseLinear):
        numbers = {name: value for name, value in params_of(job.schedule).items() if isinstance(value, float)}
        return " ".join([type(job.schedule).__name__, *(f"{name}={value:.3g}" for name, value in numbers.items())])
    return "frozen" if job.frozen else f"{job.schedule(job.stop):.3g}"


def decision(segment: Segment) -> str:
    """A decision in one line."""
    return (
        f"segment {segment.k}: steps {segment.start}-{segment.stop}, "
        f"LR {segment.lr_start:.3g} -> {segment.chosen:.3g}, "
        f"mean loss {segment.winner.mean_loss:.4f}, eps {segment.eps:.3g} nats, margin {segment.margin:.2g}"
    )


def clock(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
