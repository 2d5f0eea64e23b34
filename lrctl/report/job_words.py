"""Jobs and decisions in a few words, for the progress of a search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Segment
from lrctl.errors import UsageError
from lrctl.registry.registry import registry


def cropped(text: str, room: int) -> str:
    """Text without its last words where it has no room.

    >>> cropped("wsd peak_lr=0.1 warmup=0.05", 20), cropped("wsd peak_lr=0.1", 20)
    ('wsd peak_lr=0.1 ...', 'wsd peak_lr=0.1')
    """
    words = text.split(" ")
    kept = len(words)
    while kept > 1 and len(" ".join(words[:kept])) + 4 * (kept < len(words)) > room:
        kept -= 1
    return text if kept == len(words) else " ".join([*words[:kept], "..."])


def amount(what: str, done: int, total: int) -> str:
    """How far something is, in words.

    >>> amount("tokenising a.txt", 1500, 30000), amount("tokenising a.txt", 1500, 0), amount("preparing data", 0, 0)
    ('tokenising a.txt: 1,500 of 30,000', 'tokenising a.txt: 1,500', 'preparing data')
    """
    return f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}" if done else what


def window(done: Sequence[bool], room: int) -> slice:
    """The rows that are shown where there is no room for all: those around the first that is not done.

    >>> window([True] * 30 + [False] * 30, 10), window([True, False], 10)
    (slice(25, 35, None), slice(0, 2, None))
    """
    count = len(done)
    fitting = min(count, max(1, room))
    at = done.index(False) if False in done else count
    start = max(0, min(at - fitting // 2, count - fitting))
    return slice(start, start + fitting)


def loss_of(result: JobResult) -> str:
    """The mean loss of a job, or what it would at least have been; nothing for one without steps."""
    if result.at_least is not None:
        return f"> {result.at_least:.4f}"
    return f"{result.mean_loss:.4f}" if result.steps else ""


def label(job: SegmentJob, *, judged: bool = True) -> str:
    """What sets a job apart from the others of its batch: the LR at its end or, of a whole run, its schedule.

    Where jobs are not judged by their losses they may be short runs, which warm up and wind down: the highest LR.
    """
    if job.start == job.stop:
        return "evaluation"
    if job.evaluate or not isinstance(job.schedule, PiecewiseLinear):
        return " ".join([family_of(job.schedule), *settings(job.schedule)])
    return "frozen" if job.frozen else f"{job.schedule(job.stop) if judged else highest(job, job.schedule):.3g}"


def highest(job: SegmentJob, schedule: PiecewiseLinear) -> float:
    """The highest LR between a job's ends."""
    inner = (lr for step, lr in schedule.knots if job.start < step < job.stop)
    return max(schedule(job.start), schedule(job.stop), *inner)


def family_of(schedule: object) -> str:
    """The registered name of a schedule's family, or the name of its class."""
    try:
        return registry().family(schedule)
    except UsageError:
        return type(schedule).__name__


def settings(schedule: object) -> Iterator[str]:
    """The numbers and words of a schedule that are not at their defaults; a whole number without one is a length."""
    for each in fields(schedule) if is_dataclass(schedule) else ():
        value = getattr(schedule, each.name)
        length = type(value) is int and each.default is MISSING
        if isinstance(value, int | float | str) and value != each.default and not length:
            yield f"{each.name}={value:.3g}" if isinstance(value, float) else f"{each.name}={value}"


def decision(segment: Segment) -> str:
    return (
        f"segment {segment.k}: steps {segment.start}-{segment.stop}, "
        f"LR {segment.lr_start:.3g} -> {segment.chosen:.3g}, "
        f"mean loss {segment.winner.mean_loss:.4f}, eps {segment.eps:.3g} nats"
        + (f", margin {segment.margin:.2g}" if math.isfinite(segment.margin) else "")
    )
