"""What a search may ask for next. Resuming is replaying: so a search can be replayed into futures that may come.

A future is the search itself, over the results that are known and then over guesses. A job is as likely to be needed as
the share of futures that ask for it. Guesses decide what is trained ahead, and never what the search finds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Search, SearchResult, advance
from lrctl.engine.guesses import Guesses
from lrctl.errors import UsageError

FUTURES = 8
"""How many are looked at."""

FURTHEST = 60
"""So many batches a future goes ahead at the most."""

SHARE = 0.1
"""The most of a search's time that looking ahead may take: to replay a search takes as long as it does."""

Answer = list[JobResult] | UsageError
"""What a search was sent: results, or the error of a batch that cannot be made."""

Known = Callable[[Batch, Sequence[str]], list[JobResult | None]]
"""The results of a batch's jobs, which have these keys, as far as they are known."""

clock = time.monotonic


@dataclass(slots=True)
class Future:
    """A search that goes on over guesses.

    Attributes:
        moved: the last batch that it has asked for, or what it found; None where the guesses made no sense to it.
        path: the batches from the one that is open in the real search on.
        guessed: the guesses that tell a search something, by key.
    """

    search: Search
    moved: Batch | SearchResult | None
    path: list[Batch] = field(default_factory=list)
    guessed: dict[str, JobResult] = field(default_factory=dict)


@dataclass(slots=True)
class Futures:
    """The futures of a search that are still possible.

    Attributes:
        begin: starts the search anew.
        key: of a job.
        known: what is known of a batch.
        sent: what the search was sent so far.
        whole: the results of batches of which all is known, by the keys of their jobs.
        alive: the futures that have asked for the same as the search.
    """

    begin: Callable[[], Search]
    key: Callable[[SegmentJob], str]
    known: Known
    sent: list[Answer] = field(default_factory=list)
    alive: list[Future] = field(default_factory=list)
    guesses: Guesses = field(default_factory=Guesses)
    random: Random = field(default_factory=lambda: Random(0))
    began: float = field(default_factory=lambda: clock())
    spent: float = 0.0
    whole: dict[tuple[str, ...], Sequence[JobResult | None]] = field(default_factory=dict)
    keys: dict[SegmentJob, str] = field(default_factory=dict)

    def following(self, run_batch: Callable[[Batch], list[JobResult]]) -> Callable[[Batch], list[JobResult]]:
        """The same answers to batches, seen on their way."""

        def answered(batch: Batch) -> list[JobResult]:
            self.keep_to(batch)
            try:
                results = run_batch(batch)
            except UsageError as error:
                self.sent.append(error)
                raise
            self.sent.append(results)
            self.whole[tuple(self.keys_of(batch))] = results
            for job, result in zip(batch.jobs, results, strict=True):
                self.guesses.note(job, result)
            return results

        return answered

    def keep_to(self, batch: Batch) -> None:
        """Let go of the futures in which another batch than this one is asked for now."""
        asked = self.keys_of(batch)
        for future in self.alive:
            del future.path[:1]
            if not future.path:
                self.go_on(future)
        self.alive = [each for each in self.alive if each.path and self.keys_of(each.path[0]) == asked]

    def told(self, key: str) -> None:
        """Let go of the futures that guessed a result which is known now."""
        self.alive = [each for each in self.alive if key not in each.guessed]

    def likely(
        self, most: int, runnable: Callable[[SegmentJob, str], SegmentJob | None]
    ) -> Iterator[tuple[str, SegmentJob, float]]:
        """Jobs that can be trained now, the likeliest first, and how likely each is to be needed.

        Of each future that is the first `most`; `runnable` gives what has to be trained for a job, if that can be.
        """
        began = clock()
        while len(self.alive) < FUTURES and self.spent <= SHARE * (began - self.began) and (one := self.another()):
            self.alive.append(one)
            self.spent, began = self.spent + clock() - began, clock()
        found: dict[str, tuple[SegmentJob, int]] = {}
        for future in self.alive:
            for key, job in self.first(future, most, runnable).items():
                found[key] = job, found.get(key, (job, 0))[1] + 1
        self.spent += clock() - began
        for key, (job, times) in sorted(found.items(), key=lambda each: -each[1][1]):
            yield key, job, times / len(self.alive)

    def named(self) -> set[str]:
        """The jobs that futures ask for as far as they were looked at, and those that these go on from."""
        jobs = [job for future in self.alive for batch in future.path for job in batch.jobs]
        return {*map(self.keys_of_job, jobs), *(job.parent for job in jobs if job.parent)}

    def first(
        self, future: Future, most: int, runnable: Callable[[SegmentJob, str], SegmentJob | None]
    ) -> Mapping[str, SegmentJob]:
        found: dict[str, SegmentJob] = {}
        for at in range(FURTHEST):
            if at == len(future.path) and not self.go_on(future):
                break
            batch = future.path[at]
            keys, known = self.keys_of(batch), self.known_of(batch)
            if at:  # what is open is asked for already
                for job, key, result in zip(batch.jobs, keys, known, strict=True):
                    if result is None and (ready := runnable(job, key)):
                        found[self.keys_of_job(ready)] = ready
            if len(found) >= most:
                break
        return dict(list(found.items())[:most])

    def another(self) -> Future | None:
        """A new future, at the batch that is open; None if there is none to be had."""
        search = self.begin()
        future = Future(search, None)
        for answer in (None, *self.sent):
            self.advance(future, answer)
        if not isinstance(future.moved, Batch):
            return None
        future.path.append(future.moved)
        return future

    def go_on(self, future: Future) -> bool:
        """Go a batch further, over what is known and guesses."""
        if not isinstance(future.moved, Batch):
            return False
        batch, answers = future.moved, []
        for job, key, known in zip(batch.jobs, self.keys_of(batch), self.known_of(batch), strict=True):
            answer = known or future.guessed.get(key) or self.guesses.guess(job, key, self.random)
            if not known and (batch.judge or job.score_batches or job.evaluate or job.stages):
                future.guessed[key] = answer
            answers.append(answer)
        self.advance(future, answers)
        if not isinstance(future.moved, Batch):
            return False
        future.path.append(future.moved)
        return True

    def advance(self, future: Future, answer: Answer | None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                future.moved = advance(future.search, answer)
        except Exception:  # whatever a search says to results that were made up
            future.moved = None

    def known_of(self, batch: Batch) -> Sequence[JobResult | None]:
        keys = tuple(self.keys_of(batch))
        if keys in self.whole:
            return self.whole[keys]
        known = self.known(batch, keys)
        if all(known):
            self.whole[keys] = known
        return known

    def keys_of(self, batch: Batch) -> list[str]:
        return [self.keys_of_job(job) for job in batch.jobs]

    def keys_of_job(self, job: SegmentJob) -> str:
        if job not in self.keys:
            self.keys[job] = self.key(replace(job))  # a job keeps the LR of each step once it is asked
        return self.keys[job]
