"""Jobs of a search: known ones are read from the store, the others are trained, retried and recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.result import Failure, JobRecord
from lrctl.errors import (
    BudgetReachedError,
    CheckpointError,
    JobFailedError,
    LrctlError,
    MissingError,
    ProgramMistakeError,
    ReproducibilityError,
    StoreError,
    UsageError,
)
from lrctl.registry.observers import notify
from lrctl.storage.store import Store
from lrctl.training.early_stopping import Limited
from lrctl.training.quiet import LOST

if TYPE_CHECKING:
    import numpy as np

ATTEMPTS = 3
"""How often a job that fails is tried (paper, Appendix A)."""

ADVICE = "lower executor.per_gpu, or raise training.micro_batches"
"""Where a device runs out of memory."""

RESTORES = 30
"""How often a job is tried whose parent's checkpoint is gone, as happens when searches share work and a store."""

MISTAKES = {
    each.__name__
    for each in (
        *(AssertionError, AttributeError, ImportError, IndexError, KeyError, ModuleNotFoundError, NameError),
        *(NotImplementedError, RecursionError, SyntaxError, TypeError, UnboundLocalError, ValueError),
    )
}
"""Exceptions that tell of a mistake in the code, which another attempt would meet again."""

FINAL: dict[str, type[LrctlError]] = {
    e.__name__: e for e in (UsageError, MissingError, StoreError, ReproducibilityError, ProgramMistakeError)
}
"""Errors of a job that another attempt cannot cure."""


@dataclass(slots=True)
class JobRunner:
    """Runs the jobs of a search.

    Attributes:
        fresh: train every job anew, whatever the store holds.
        seen: every job met so far, by key: what a lost checkpoint is made again from.
        kept: those of them whose checkpoints were not deleted yet.
        records: of the jobs that are done, or were stopped.
        early: of those that were trained for this run before it asked for them, as it may never do.
        looked_up: what the store had of jobs that were not asked for.
        reached: tells which budget is reached, so that no job begins any more; empty while there is room.
    """

    store: Store
    spec: TrainSpec
    executor: Executor
    fresh: bool = False
    seen: dict[str, SegmentJob] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    records: dict[str, JobRecord] = field(default_factory=dict)
    early: dict[str, JobRecord] = field(default_factory=dict)
    looked_up: dict[str, JobRecord | None] = field(default_factory=dict)
    reached: Callable[[], str] = str

    def meet(self, jobs: Sequence[SegmentJob]) -> list[str]:
        keys = [job.key(self.spec) for job in jobs]
        self.seen |= dict(zip(keys, jobs, strict=True))
        self.kept |= set(keys)
        return keys

    def known(self, key: str) -> bool:
        """Whether a job's record is at hand; a fresh search takes only what it trained itself."""
        if self.done(key):
            return True
        if (early := self.early.get(key)) and early.status != "stopped":
            self.records[key] = early
            return True
        if self.fresh:
            if key not in self.records:
                self.store.forget_stopped(key)
            return False
        record = self.store.record(key)
        if record is not None:
            self.records[key] = record
        return record is not None

    def done(self, key: str) -> bool:
        """Whether this search has the result of a job that was trained to its end."""
        return key in self.records and self.records[key].status != "stopped"

    def at_hand(self, key: str) -> JobRecord | None:
        """What is known of a job that was asked for, or trained ahead, or that another search has trained."""
        early = self.early.get(key)
        found = self.records.get(key) or (early if early and early.status != "stopped" else None)
        if found or self.fresh:
            return found
        if key not in self.looked_up:
            self.looked_up[key] = self.store.record(key)
        return self.looked_up[key]

    def ruled_out(self, key: str, limit: float | None) -> bool:
        """Whether a job was stopped before, where it cannot be chosen now either."""
        before = self.records.get(key) or self.store.stopped(key)
        if before is None or before.at_least is None or limit is None:
            return False
        if not replace(self.seen[key], stop_above=limit).cannot_be_chosen(before.at_least):
            return False
        self.records[key] = before
        return True

    def train(self, keys: Iterable[str], limit: Callable[[], float | None] = lambda: None) -> None:
        """Train jobs and take their records in; failures are tried again, lost parents are made again.

        A job need not be finished whose mean loss is sure to be above what `limit` says at the moment. Where a device
        ran out of memory, those that failed are tried again one at a time.

        Raises:
            JobFailedError: a job failed on every attempt.
            LrctlError: a job met an error that another attempt cannot cure.
            BudgetReachedError: not all of them were begun.
        """
        tries, restores, full = dict.fromkeys(keys, 1), 0, False
        while tries:
            self.restore({parent for key in tries if (parent := self.seen[key].parent)})
            again: dict[str, int] = {}
            # What a fresh search finds known stays until it is replaced: another search may be using it.
            anew = [replace(self.seen[key], anew=self.fresh and not self.done(key)) for key in tries]
            jobs, answered = Limited(anew, limit, self.reached), set[str]()
            alone, full, lost = full, False, {key: steps for key in tries if (steps := self.lost_steps(key))}
            for record in self.run(jobs, alone=alone):
                answered.add(record.key)
                if record.failure is None:
                    record = self.counted(record, lost.get(record.key, 0))
                    self.take(replace(record, attempts=max(record.attempts, tries[record.key])))
                elif record.failure.kind == CheckpointError.__name__ and restores < RESTORES:
                    again[record.key] = tries[record.key]
                else:
                    give_up_on(record.key, record.failure, tries[record.key])
                    again[record.key] = tries[record.key] + 1
                    full |= record.failure.out_of_memory
            if tries.keys() - answered and (reached := self.reached()):
                raise BudgetReachedError(reached)
            tries, restores = again, restores + 1

    def run(self, jobs: Sequence[SegmentJob], *, alone: bool) -> Iterator[JobRecord]:
        """Run jobs together; or each alone, once all that others hold of a device's memory is given back."""
        if not alone:
            yield from self.executor.run(self.spec, jobs)
            return
        warnings.warn(f"a device ran out of memory: jobs are tried again one by one; {ADVICE}", stacklevel=2)
        self.executor.close()
        for i in range(len(jobs)):
            yield from self.executor.run(self.spec, jobs[i : i + 1])

    def lost_steps(self, key: str) -> int:
        """The steps that this run has trained for a job of which nothing is known in the store any more."""
        if not self.done(key) or self.store.record(key):
            return 0
        before, run = self.records[key], self.spec.run
        return before.remade.get(run, 0) + (before.steps + before.discarded if before.run == run else 0)

    def counted(self, record: JobRecord, lost_steps: int) -> JobRecord:
        """The record of a job that was trained again, with the steps that the store had forgotten."""
        if lost_steps:
            run = self.spec.run
            record = replace(record, remade={**record.remade, run: record.remade.get(run, 0) + lost_steps})
            self.store.put_record(record)
        return record

    def take(self, record: JobRecord) -> None:
        if record.attempts > 1:
            self.store.put_record(record)
        self.records[record.key] = record
        self.tell(record.key, reused=False)

    def take_early(self, record: JobRecord) -> None:
        """Take in the record of a job that was trained ahead: what it is, or that its checkpoint is there again."""
        (self.records if self.done(record.key) else self.early)[record.key] = record

    def tell(self, key: str, *, reused: bool) -> None:
        notify("job_finished", job=self.seen[key], result=self.records[key].answer(), reused=reused)
        self.seen[key] = replace(self.seen[key])  # without the LR of each step, which a job keeps once it is asked

    def restore(self, keys: set[str]) -> None:
        """Make sure that these checkpoints are there: one that is gone is trained again, from its own parent."""
        self.kept |= keys & self.records.keys()  # one that was made again ahead
        lost = [key for key in sorted(keys) if not self.store.has_checkpoint(key)]
        unknown = [key for key in lost if key not in self.seen]
        if unknown:
            raise JobFailedError(
                f"the checkpoint of job {unknown[0][:12]} is gone and nothing tells how to remake it; the same "
                "command imports it again if it was given with --from"
            )
        if lost:
            # It may have been asked for without a checkpoint at first; that is not part of its key.
            self.seen |= {key: replace(self.seen[key], checkpoint=True) for key in lost}
            self.kept |= set(lost)
            self.train(lost)

    def history(self, key: str) -> np.ndarray[Any, Any]:
        """The loss and LR of every step of the run that ends with a job, as `Store.history` gives it.

        What is gone of it is trained again: `lrctl gc` takes what a run that was removed had trained, reused or not.
        """
        for _ in range(RESTORES):
            with suppress(StoreError):
                return self.store.history(key)
            self.secure(key)
        return self.store.history(key)

    def secure(self, key: str) -> None:
        """Make sure that a job is there and those that lead to it; those that are gone are trained again."""
        for each in self.lineage(key):
            if self.store.record(each) is None:
                self.kept.add(each)
                self.train([each])

    def lineage(self, key: str | None) -> list[str]:
        """The jobs of this search that lead to one, oldest first, itself last."""
        keys: list[str] = []
        while key in self.seen:
            keys.append(key)
            key = self.seen[key].parent
        return keys[::-1]

    def clean_up(self, needed: Iterable[str | None] = ()) -> None:
        """Delete the checkpoints that nothing continues from any more, and that no lost one is made again from."""
        kept = set().union(*map(self.sources, filter(None, needed)))
        # Each once: another search that shares the store may have made it again for itself. What stays, since a run
        # hands it over, may go once that run hands over something else.
        self.kept = self.kept & kept | self.store.drop_checkpoints(self.kept - kept)

    def sources(self, key: str) -> set[str]:
        """A job and, where its checkpoint is gone, those that it is made again from."""
        found = {key}
        while not self.store.has_checkpoint(key) and (job := self.seen.get(key)) and (key := job.parent or ""):
            found.add(key)
        return found


def give_up_on(key: str, failure: Failure, tries: int) -> None:
    """Raise the error of a failed job unless it is worth another attempt."""
    if failure.kind in FINAL:
        raise FINAL[failure.kind](failure.message)
    if failure.broken and LOST.is_set():
        raise JobFailedError(
            f"job {key[:12]} failed with {failure.kind}: {failure.message}; after that this process can compute "
            "nothing more on its device; --debug shows where; the same command continues, in a new process",
            failure.traceback,
        )
    if tries >= ATTEMPTS or failure.kind in MISTAKES:
        often = f" {tries} times, last" if tries > 1 else ""
        advice = f"; {ADVICE}" if failure.out_of_memory else ""
        raise JobFailedError(
            f"job {key[:12]} failed{often} with {failure.kind}: {failure.message}{advice}; --debug shows where; once "
            "that is mended, the same command continues",
            failure.traceback,
        )
