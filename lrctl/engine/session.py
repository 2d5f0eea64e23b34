"""Carries a search out: drives the strategy, skips known jobs, retries, records."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lrctl.analysis.smoothing import final_train_loss
from lrctl.contracts.executor import Executor
from lrctl.contracts.job import SegmentJob, TrainSpec
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import JobResult
from lrctl.contracts.strategy import Batch, Search, SearchResult, drive
from lrctl.engine import executors
from lrctl.engine.divergence import judge, sound
from lrctl.engine.early_stopping import Limited
from lrctl.engine.worker import attempt
from lrctl.errors import (
    CheckpointError,
    JobFailedError,
    LrctlError,
    NoValidCandidateError,
    ReproducibilityError,
    StoreError,
    UsageError,
)
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import is_code
from lrctl.registry.registry import PluginWarning, registry
from lrctl.storage.run_result import Outcome
from lrctl.storage.store import Store

ATTEMPTS = 3
"""How often a job that fails is tried (paper, Appendix A)."""

RESTORES = 30
"""How often a job is tried whose parent's checkpoint is gone, as happens when searches share work and a store."""

FINAL: dict[str, type[LrctlError]] = {e.__name__: e for e in (UsageError, StoreError, ReproducibilityError)}
"""Errors of a job that another attempt cannot cure."""

SPLITS = ("validation", "test")


@dataclass(slots=True)
class Session:
    """Carries a search out: known jobs are read from the store, the others are trained and recorded.

    Attributes:
        fresh: train every job anew, whatever the store holds.
        seen: every job met so far, by key: what a lost checkpoint is made again from.
        kept: those of them whose checkpoints were not deleted yet.
        notes: what the user should know about the results.
    """

    store: Store
    spec: TrainSpec
    recipe: Recipe
    fresh: bool = False
    executors: dict[str, Executor] = field(default_factory=dict)
    seen: dict[str, SegmentJob] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    results: dict[str, JobResult] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    remade: int = 0

    def drive(self, search: Search) -> SearchResult:
        """Run a search to its end; one that fails leaves no checkpoints behind.

        Raises:
            NoValidCandidateError: every candidate of a choice diverged.
        """
        if is_code(self.spec.workload):
            self.sanity_check()
        try:
            return drive(search, self.run_batch)
        except NoValidCandidateError:
            self.clean_up(Batch("nothing goes on", []))
            raise

    def sanity_check(self) -> None:
        """Evaluate the user's own workload once untrained: what is wrong with it should show before the search."""
        job = SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),)), evaluate=SPLITS, checkpoint=False)
        (result,) = self.run_batch(Batch("a first look at the workload", [job]))
        for split, metrics in result.metrics.items():
            if not math.isfinite(metrics["loss"]):
                self.notes.append(f"the {split} loss was not finite before any training; check the model and its data")

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """The results of a batch, in its order, with the diverged ones marked.

        Raises:
            JobFailedError: a job failed on every attempt.
        """
        self.clean_up(batch)
        keys = [job.key(self.spec) for job in batch.jobs]
        self.seen |= dict(zip(keys, batch.jobs, strict=True))
        self.kept |= set(keys)
        missing = [key for key in dict.fromkeys(keys) if not self.known(key)]
        limit = partial(self.limit, batch, keys)
        missing = [key for key in missing if not self.ruled_out(key, limit())]
        reused = len(set(keys)) - len(missing)
        notify("batch_started", batch=batch, reused=reused, run=self.recipe.run_spec)
        for key in set(keys) - set(missing):
            notify("job_finished", job=self.seen[key], result=self.results[key])
        if missing:
            self.train(missing, limit)
        results = [self.results[key] for key in keys]
        if batch.judge:
            results, note = judge(self.recipe.divergence, batch.jobs, results)
            # A later round of the same choice is judged anew, with more jobs.
            self.notes = [known for known in self.notes if not known.startswith(f"{batch.title}: ")]
            if note:
                self.notes.append(f"{batch.title}: {note}")
        return [self.with_train_loss(job, result) for job, result in zip(batch.jobs, results, strict=True)]

    def with_train_loss(self, job: SegmentJob, result: JobResult) -> JobResult:
        """The result with the training losses that a whole run is judged by.

        They are the final one, if the job ends and evaluates a run, and those at the stages it asks for.
        """
        ends = job.evaluate and job.stop == self.recipe.training.steps
        if not ends and not job.stages:
            return result
        losses = self.store.history(result.key)["loss"]
        stages = tuple(self.final_loss(losses[:stage]) for stage in job.stages)
        return replace(result, stage_losses=stages, train_loss=self.final_loss(losses) if ends else None)

    def final_loss(self, losses: Any) -> float:
        """The smoothed training loss at the end of some steps; +inf if the last is not finite, or too many are not."""
        lost = [not math.isfinite(loss) for loss in losses.tolist()]
        diverged = sum(lost) > self.recipe.divergence.max_non_finite or lost[-1]
        return math.inf if diverged else final_train_loss(losses)

    def known(self, key: str) -> bool:
        """Whether a job's result is at hand; a fresh search takes only what it trained itself."""
        if key in self.results and self.results[key].status != "stopped":
            return True
        if self.fresh:
            if key not in self.results:
                self.store.forget(key)
            return False
        result = self.store.result(key)
        if result is not None:
            self.results[key] = result
        return result is not None

    def limit(self, batch: Batch, keys: Sequence[str]) -> float | None:
        """The mean loss above which no job of a batch can be chosen any more; None if that is not known yet.

        A job that may yet be judged diverged does not count among the best.
        """
        if batch.tolerance is None or not self.recipe.training.stop_early:
            return None
        done = [(job, self.results[key]) for job, key in zip(batch.jobs, keys, strict=True) if key in self.results]
        moved = (r.mean_loss for job, r in done if not job.frozen and sound(self.recipe.divergence, r))
        frozen = (r.mean_loss for job, r in done if job.frozen)
        return batch.tolerance.bound(min(moved, default=math.inf), next(frozen, None))

    def ruled_out(self, key: str, limit: float | None) -> bool:
        """Whether a job was stopped before, where it cannot be chosen now either."""
        before = self.results.get(key) or self.store.stopped(key)
        if before is None or before.at_least is None or limit is None:
            return False
        if not replace(self.seen[key], stop_above=limit).cannot_be_chosen(before.at_least):
            return False
        self.results[key] = before
        return True

    def train(self, keys: Sequence[str], limit: Callable[[], float | None] = lambda: None) -> None:
        """Train jobs and take their results in; failures are tried again, lost parents are made again.

        `limit` gives the mean loss above which a job need not be finished, as it is at the moment.

        Raises:
            JobFailedError: a job failed on every attempt.
            LrctlError: a job met an error that another attempt cannot cure.
        """
        tries, restores = dict.fromkeys(keys, 1), 0
        while tries:
            self.restore({parent for key in tries if (parent := self.seen[key].parent)})
            again: dict[str, int] = {}
            jobs = Limited([self.seen[key] for key in tries], limit)
            for result in self.executor(len(jobs)).run(self.spec, jobs):
                if result.failure is None:
                    self.take(replace(result, attempts=max(result.attempts, tries[result.key])))
                elif result.failure.kind == CheckpointError.__name__ and restores < RESTORES:
                    again[result.key] = tries[result.key]
                else:
                    give_up_on(result, tries[result.key])
                    again[result.key] = tries[result.key] + 1
            tries, restores = again, restores + 1

    def take(self, result: JobResult) -> None:
        """Take the result of a job that was just trained."""
        if result.attempts > 1:
            self.store.put_result(result)
        self.results[result.key] = result
        notify("job_finished", job=self.seen[result.key], result=result)

    def restore(self, keys: set[str]) -> None:
        """Make sure that these checkpoints are there: one that is gone is trained again, from its own parent."""
        lost = [key for key in keys if not self.store.checkpoint(key).exists()]
        unknown = [key for key in lost if key not in self.seen]
        if unknown:
            raise JobFailedError(f"the checkpoint of job {unknown[0][:12]} is gone and nothing tells how to remake it")
        if lost:
            # It may have been asked for without a checkpoint at first; that is not part of its key.
            self.seen |= {key: replace(self.seen[key], checkpoint=True) for key in lost}
            self.kept |= set(lost)
            self.remade += sum(self.seen[key].stop - self.seen[key].start for key in lost)
            self.train(lost)

    def clean_up(self, batch: Batch) -> None:
        """Delete the checkpoints of earlier batches that neither this batch nor a later one continues from."""
        needed = {job.parent for job in batch.jobs} | batch.keep
        # Each once: another search that shares the store may have made it again for itself.
        self.store.drop_checkpoints(self.kept - needed)
        self.kept &= needed

    def hand_over(self, found: SearchResult) -> Outcome:
        """What was found, with its losses. All checkpoints but its own go."""
        if found.checkpoint is None:
            self.clean_up(Batch("nothing goes on", []))
            return Outcome(found, cost=self.cost(), notes=self.notes)
        assert found.schedule is not None
        steps, last = self.recipe.training.steps, self.seen[found.checkpoint]
        ended = SegmentJob(steps, steps, found.schedule, found.checkpoint, evaluate=SPLITS, checkpoint=False)
        end = replace(ended, seed=last.seed, optimizer=last.optimizer)
        (result,) = self.run_batch(Batch("held-out loss", [end], found.trace))
        metrics = {split: dict(values) for split, values in result.metrics.items()}
        return Outcome(found, result.train_loss, metrics, self.cost(), self.notes, last.seed)

    def keep(self, key: str | None) -> None:
        """Make sure that a finished run's checkpoint is there, and leave no other behind."""
        handed_over = {key} if key else set()
        # Another search may have deleted it before this run was finished; from now on none does.
        self.restore(handed_over)
        self.clean_up(Batch("nothing goes on", [], keep=frozenset(handed_over)))

    def cost(self) -> dict[str, Any]:
        """What the search took: jobs it trained, in this and earlier goes, and jobs that others had trained.

        Attempts that failed are not counted, nor are checkpoints made again in an earlier go.
        """
        jobs = [r for key, r in self.results.items() if self.seen[key].stop > self.seen[key].start]
        own = [r for r in jobs if r.run == self.spec.run]
        steps = sum(r.steps + r.discarded for r in own) + self.remade
        return {
            "jobs": len(jobs),
            "jobs_reused": len(jobs) - len(own),
            "steps_trained": steps,
            "extra_forwards": sum(r.extra_forwards for r in own),
            "scored_batches": sum(self.seen[r.key].score_batches for r in own),
            "full_runs": steps / self.recipe.training.steps,
        }

    def executor(self, jobs: int) -> Executor:
        """The recipe's executor, for so many jobs."""
        choice = executors.resolved(self.recipe.executor, self.spec.device, jobs)
        if choice.name not in self.executors:
            self.executors[choice.name] = executors.build(choice, partial(attempt, self.store.path))
        return self.executors[choice.name]

    def close(self) -> None:
        """Stop whatever still runs."""
        for executor in self.executors.values():
            executor.close()


def give_up_on(result: JobResult, tries: int) -> None:
    """Raise the error of a failed job unless it is worth another attempt.

    Raises:
        JobFailedError: it has had all its attempts.
        LrctlError: another attempt would meet the same error.
    """
    failure = result.failure
    assert failure is not None
    if failure.kind in FINAL:
        raise FINAL[failure.kind](failure.message)
    if tries >= ATTEMPTS:
        raise JobFailedError(
            f"job {result.key[:12]} failed {tries} times, last with {failure.kind}: {failure.message}; "
            "--debug shows where; once that is mended, the same command continues",
            failure.traceback,
        )


def notify(hook: str, **arguments: Any) -> None:
    """Tell all observers; one that fails is a warning, never the end of a search."""
    try:
        getattr(registry().manager.hook, hook)(**arguments)
    except Exception as error:
        warnings.warn(f"an observer of {hook} failed: {type(error).__name__}: {error}", PluginWarning, stacklevel=2)
