"""The contract of strategies."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Generator, Sequence
from typing import Any

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.params import fields_of
from lrctl.contracts.result import JobResult
from lrctl.contracts.schedule import AdaptiveSchedule
from lrctl.contracts.strategy import Batch, SearchResult, Strategy, drive
from lrctl.errors import LrctlError
from lrctl.registry.values import build
from lrctl.storage.run_result import RunResult
from lrctl.testing.faults import calling
from lrctl.testing.schedules import check_frozen, check_json
from lrctl.testing.scripted import SPEC, Landscape, Scripted, bowl, run_spec


def check_strategy(strategy: Strategy, params: Any, steps: int = 60) -> None:
    """A strategy asks for the same jobs when it is replayed, stays within the run, and its answer is trained to T.

    An answer without a checkpoint was not trained: then no job keeps a checkpoint at the end of the run.
    Where its batches allow jobs to be stopped, it finds the same with as many of them stopped as can be. Where every
    job diverges, it raises an error of lrctl's, or finds something all the same. What it says can be shown and stored.
    """
    check_params(params)
    found, batches = played(strategy, params, steps)
    again, replayed = played(strategy, params, steps)
    check_told(found)
    assert found == again, "a replay found something else"
    assert [b.jobs for b in batches] == [b.jobs for b in replayed], "a replay asked for other jobs"
    fewer, asked = played(strategy, params, steps, stopping=True)
    assert (fewer.schedule, fewer.checkpoint) == (found.schedule, found.checkpoint), "stopping changed what was found"
    assert [b.jobs for b in asked] == [b.jobs for b in batches], "stopping changed which jobs were asked for"
    jobs = {job.key(SPEC): job for batch in batches for job in batch.jobs}
    for job in jobs.values():
        assert 0 <= job.start <= job.stop <= steps, f"{job} leaves the run"
        assert job.parent is None or job.parent in jobs, f"{job} continues from a job that was never asked for"
        assert job.parent is None or jobs[job.parent].stop == job.start, f"{job} does not start where its parent ends"
    named = {each.key for segment in found.trace for each in segment.candidates if each.status != "skipped"}
    named |= {each.checkpoint for each in (*found.results, found.reference) if each and each.checkpoint}
    assert named <= jobs.keys(), "the trace or the results name a job that was never asked for"
    if jobs:
        check_answer(found, jobs, steps)
        played(strategy, params, steps, lambda _: math.inf)


def check_params(params: Any) -> None:
    """Parameters are a frozen dataclass whose fields have help, and can be flags and keys of a recipe."""
    check_frozen(params)
    for field in fields_of(type(params)):
        assert field.help, f"{type(params).__name__}.{field.name}: write its help as Annotated[type, 'help']"
    with calling(f"{params!r} on its way through a recipe"):
        given = {name: value for name, value in dataclasses.asdict(params).items() if value is not None}
        again = build(type(params), json.loads(json.dumps(given, allow_nan=False)), "params")
    assert again == params, f"{params!r} comes back from a recipe as {again!r}"


def played(
    strategy: Strategy, params: Any, steps: int, loss: Landscape | None = None, *, stopping: bool = False
) -> tuple[SearchResult, list[Batch]]:
    """As `play`, of a strategy that may break any rule; one that gives up says so by an error of lrctl's."""
    batches: list[Batch] = []
    script = Scripted(loss or bowl, stopping=stopping)

    def run_batch(batch: Batch) -> list[JobResult]:
        check_batch(batch)
        batches.append(batch)
        results = script.run_batch(batch)
        for done in ([None] * len(results), results):
            check_so_far(batch, done)
        return results

    where = "the strategy, where every job diverges," if loss else "the strategy"
    with calling(where):
        search = strategy(params, run_spec(steps))
        assert isinstance(search, Generator), "a strategy must be a generator function"
        try:
            found = drive(search, run_batch)
        except LrctlError:
            if loss is None:
                raise
            return SearchResult(None, None), batches
    assert isinstance(found, SearchResult), f"a strategy must yield batches and return a SearchResult, got {found!r}"
    return found, batches


def check_batch(batch: Batch) -> None:
    """A batch is what a session can run and an observer can show."""
    assert isinstance(batch.title, str), f"a batch's title must be a string, got {batch.title!r}"
    assert len(batch.jobs), f"batch {batch.title!r} has no jobs"
    assert all(isinstance(job, SegmentJob) for job in batch.jobs), (
        f"batch {batch.title!r}: its jobs must be SegmentJobs"
    )
    assert isinstance(batch.keep, frozenset), f"batch {batch.title!r}: keep must be a frozenset, got {batch.keep!r}"


def check_so_far(batch: Batch, done: Sequence[JobResult | None]) -> None:
    """What a batch has to hand over before it is answered can be shown and stored."""
    if batch.so_far is None:
        return
    with calling(f"so_far of batch {batch.title!r}"):
        found = batch.so_far(done)
    assert found is None or isinstance(found, SearchResult), f"so_far must give a SearchResult or None, got {found!r}"
    if found:
        check_told(found)


def check_told(found: SearchResult) -> None:
    """What a strategy says of its result can be shown to people, and stored as JSON under names of its own."""
    for text in (found.chosen_by, found.next, *found.notes):
        assert isinstance(text, str), f"notes, next and chosen_by must be strings, got {text!r}"
    shown = ("summary", "tables", "charts", "data", "results", "reference")
    as_found: dict[str, Any] = {name: getattr(found, name) for name in shown}
    with calling("storing what was found"):
        facts: dict[str, Any] = {"command": "", "run": "", "workload": "", "seed": 0, "steps": 1, "schedule": None}
        result = RunResult(**facts, **as_found, segments=found.trace)
        stored = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert stored == result.to_json() == RunResult.from_json(stored).to_json(), "the summary does not survive JSON"
    if found.schedule is not None:
        check_json(found.schedule)


def check_answer(found: SearchResult, jobs: dict[str, SegmentJob], steps: int) -> None:
    """What was found ends the run, and its schedule is the one that the jobs leading to it used."""
    if found.checkpoint is None:
        ends = [job for job in jobs.values() if job.stop == steps and job.checkpoint]
        assert not ends, "the run was trained to its end, but no checkpoint is handed over"
        return
    assert found.checkpoint in jobs, "the checkpoint found is not one of the search's jobs"
    assert jobs[found.checkpoint].stop == steps, "the checkpoint found is not the end of the run"
    assert found.schedule is not None, "the run ends with a checkpoint, but no schedule was found"
    if isinstance(found.schedule, AdaptiveSchedule):
        return
    key: str | None = found.checkpoint
    used: list[float] = []
    while key is not None:
        used = [*(jobs[key].lrs or ()), *used]
        key = jobs[key].parent
    assert used == [found.schedule(step) for step in range(steps)], "the schedule is not the one that was trained"
