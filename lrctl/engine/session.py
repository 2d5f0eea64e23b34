"""Carries a search out: drives the strategy, and answers its batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lrctl.analysis.smoothing import final_train_loss
from lrctl.contracts.canonical import finite
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.optimizers import recipe_table
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD, JobRecord, JobResult
from lrctl.contracts.strategy import Batch, RunSpec, Search, SearchResult, TrainedRun, drive
from lrctl.engine import group_scales
from lrctl.engine.ahead import Ahead
from lrctl.engine.budget import Budget
from lrctl.engine.divergence import judge, sound, spread
from lrctl.engine.futures import Futures
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.starts import another_start, told_apart
from lrctl.engine.suspicious import lrs_matter, odd_loss
from lrctl.errors import CheckpointError, NoValidCandidateError, StoreError, UsageError
from lrctl.recipe.schema import Recipe
from lrctl.recipe.workloads import is_code, is_program
from lrctl.registry.observers import notify
from lrctl.registry.registry import registry
from lrctl.storage.run_result import LOSSES, Cost, RunResult

SPLITS = ("validation", "test")

NOTHING_YET = "no schedule can be handed over yet"
"""Said where a budget ends a search before its strategy has anything."""

NOT_EXACT = (
    "the same job of a program need not give the same bits twice: one that is made again counts as the same where its "
    "mean loss is within 1 %"
)
"""What the user should know about the results of a program."""


@dataclass(slots=True)
class Session:
    """Carries a search out, and notes what the user should know about the results.

    Attributes:
        beside: the jobs that no batch of the search itself has asked for.
        lrs_matter: whether losses have shown that LRs are used.
        untrained: the validation loss before any training, where there was a first look.
    """

    runner: JobRunner
    recipe: Recipe
    notes: list[str] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    budget: Budget = field(default_factory=Budget)
    asked: Batch | None = None
    reached: str = ""
    lrs_matter: bool = False
    untrained: float | None = None
    ahead: Ahead | None = None

    def train_ahead(self, begin: Callable[[], Search]) -> None:
        """Let idle workers train what the search, which `begin` starts anew, may ask for next."""
        spec = self.runner.spec
        futures = Futures(begin, partial(SegmentJob.key, spec=spec), self.known)
        self.runner.executor = self.ahead = Ahead(self.runner.executor, self.runner, futures, self.affords)

    def end_ahead(self) -> None:
        """End what is trained ahead. No checkpoint stays of what was, in this go or earlier, and nobody asked for."""
        if self.ahead:
            self.ahead.end()
        self.runner.store.drop_checkpoints(self.runner.early.keys() - self.runner.kept)

    def affords(self, jobs: Sequence[SegmentJob], at_work: Mapping[str, SegmentJob]) -> bool:
        """Whether the budget has room for jobs, beside those that are at work and the rest of what was asked for."""
        if self.over_budget() or self.budget.disk is not None:
            return False
        if self.budget.steps is None or self.asked is None:
            return True
        asked = {each.key(self.runner.spec): each for each in self.asked.jobs}
        others = {key: each for key, each in (asked | {**at_work}).items() if not self.runner.done(key)}
        return self.cost(0.0).steps_trained + sum(each.steps for each in [*jobs, *others.values()]) <= self.budget.steps

    def known(self, batch: Batch, keys: Sequence[str]) -> list[JobResult | None]:
        """The results of a batch's jobs as far as they are known, whether asked for or trained ahead."""
        records = [self.runner.at_hand(key) for key in keys]
        whole = [record for record in records if record]
        diverged = [False] * len(keys)
        if batch.judge and len(whole) == len(keys):
            runs = {self.trained_parent(job) for job in batch.jobs}
            spread = math.inf if None in runs else self.spread(filter(None, runs))
            diverged, _ = judge(self.recipe.divergence, batch.jobs, whole, spread)
        return [
            self.answer_of(job, record, diverged=bad) if record else None
            for job, record, bad in zip(batch.jobs, records, diverged, strict=True)
        ]

    def answer_of(self, job: SegmentJob, record: JobRecord, *, diverged: bool) -> JobResult | None:
        """What is known of a job, for a guess at what comes next; nothing where its losses are gone."""
        with suppress(StoreError):
            return record.answer(diverged=diverged, **self.run_losses(job, record.key, self.runner.store.history))
        return None

    def drive(self, search: Search) -> SearchResult:
        """Run a search to its end; one that fails leaves no checkpoints behind."""
        if is_code(self.runner.spec.workload):
            self.sanity_check()
        if is_program(self.runner.spec.workload):
            self.notes.append(NOT_EXACT)
        self.runner.reached = self.over_budget
        try:
            found = drive(search, self.ahead.futures.following(self.run_batch) if self.ahead else self.run_batch)
        except NoValidCandidateError:
            self.runner.clean_up()
            raise
        finally:
            self.runner.reached = str  # what is found is handed over, whatever that takes
        self.end_ahead()
        if note := self.odd_loss():
            self.notes.append(note)
        return self.with_noise_of_starts(found) if is_program(self.runner.spec.workload) else found

    def odd_loss(self) -> str:
        """What to say where an untrained model's validation loss is far from its first training loss; else nothing."""
        begun = [key for key, job in self.runner.seen.items() if job.steps and not job.start]
        # Of a job that was stopped no losses are kept, and `lrctl gc` may take those of others at any moment.
        key = next((key for key in begun if self.runner.done(key)), None)
        if key is None or self.untrained is None:
            return ""
        with suppress(StoreError):
            return odd_loss(self.untrained, float(self.runner.store.losses(key)["loss"][0]))
        return ""

    def with_noise_of_starts(self, found: SearchResult) -> SearchResult:
        """What a search found, with its near-ties marked: a program need not give the same bits twice."""
        if not (batch := another_start(found.trace, self.runner.seen)):
            return found
        (again,) = self.run_batch(batch)
        trace, note = told_apart(found.trace, again.mean_loss)
        self.notes.append(note)
        return replace(found, trace=trace)

    def over_budget(self) -> str:
        """Which budget is reached; once it is, it stays so for this go."""
        self.reached = self.reached or self.budget.reached(lambda: self.cost(0.0).steps_trained, self.runner.store)
        return self.reached

    def sanity_check(self) -> None:
        """Try the user's own workload for a few steps: what is wrong with it should show before the search."""
        if self.recipe.training.unchecked:
            self.notes.append("training.unchecked: the search began without a first look at the workload")
            return
        job = SegmentJob(0, 0, PiecewiseLinear(((0, 0.0),)), evaluate=SPLITS, checkpoint=False)
        (result,) = self.run_batch(Batch("a first look at the workload", [job]))
        self.untrained = result.metrics["validation"]["loss"]
        for split, metrics in result.metrics.items():
            if not math.isfinite(metrics["loss"]):
                self.notes.append(f"the {split} loss was not finite before any training; check the model and its data")

    def run_batch(self, batch: Batch) -> list[JobResult]:
        """The results of a batch, in its order, with the diverged ones marked."""
        runner, self.asked = self.runner, batch
        before = {*runner.seen} if batch.beside else set()
        check_goes_on(batch.jobs, self.recipe.run_spec)
        keys = runner.meet(batch.jobs)
        self.beside = self.beside | ({*keys} - before) if batch.beside else self.beside - {*keys}
        unknown = [key for key in dict.fromkeys(keys) if not runner.known(key)]
        limit = partial(self.limit, batch, keys, self.known_spread(batch))
        missing = [key for key in unknown if not runner.ruled_out(key, limit())]
        known = [key for key in dict.fromkeys(keys) if key not in set(missing)]
        notify("batch_started", batch=batch, reused=len(known), run=self.recipe.run_spec)
        for key in known:
            runner.tell(key, reused=key not in runner.early)
        if missing:  # while a search that was stopped is replayed, what it needs next is not known yet
            runner.clean_up({job.parent for job in batch.jobs} | batch.keep | set(keys))
        runner.train(missing, limit)
        return self.judged(batch, [runner.records[key] for key in keys])

    def judged(self, batch: Batch, records: Sequence[JobRecord]) -> list[JobResult]:
        diverged: Sequence[bool] = [False] * len(records)
        self.lrs_matter = self.lrs_matter or lrs_matter(batch.jobs, records)
        if batch.judge:
            pairs = zip(batch.jobs, records, strict=True)
            runs = {self.trained_parent(job) or r.key for job, r in pairs if r.status == "ok"}
            diverged, note = judge(self.recipe.divergence, batch.jobs, records, self.spread(runs))
            # A later round of the same choice is judged anew, with more jobs.
            self.notes = [known for known in self.notes if not known.startswith(f"{batch.title}: ")]
            self.notes += [f"{batch.title}: {note}"] if note else []
        return [
            record.answer(diverged=bad, epoch=self.runner.spec.epoch, **self.run_losses(job, record.key))
            for job, record, bad in zip(batch.jobs, records, diverged, strict=True)
        ]

    def spread(self, runs: Iterable[str]) -> float:
        """How far apart the losses lie of the runs that end with these jobs."""
        return spread(map(self.run_of, runs))

    def run_of(self, key: str) -> list[JobRecord]:
        """The records of a job and of those that lead to it."""
        run = [self.runner.records[key]]
        while (parent := self.runner.records.get(run[-1].parent or "")) is not None:
            run.append(parent)
        return run

    def trained_parent(self, job: SegmentJob) -> str | None:
        """The job that a job goes on from, if this search has trained it: of an imported one nothing is known."""
        return job.parent if job.parent in self.runner.records else None

    def run_losses(self, job: SegmentJob, key: str, history: Callable[[str], Any] | None = None) -> dict[str, Any]:
        """The training losses that a whole run is judged by: the final one, and those at the stages it asks for."""
        ends = job.evaluate and job.stop == self.recipe.training.steps
        if not ends and not job.stages:
            return {}
        losses, start = (history or self.runner.history)(key)["loss"], self.recipe.run_spec.start
        stages = tuple(self.final_loss(losses[start:stage]) for stage in job.stages)
        return {"stage_losses": stages, "train_loss": self.final_loss(losses[start:]) if ends else None}

    def final_loss(self, losses: Any) -> float:
        """The smoothed training loss at the end of some steps; +inf if the last is not finite, or too many are not."""
        lost = [not math.isfinite(loss) for loss in losses.tolist()]
        diverged = sum(lost) > self.recipe.divergence.max_non_finite or lost[-1]
        return math.inf if diverged else final_train_loss(losses)

    def known_spread(self, batch: Batch) -> float:
        """The spread that a batch will be judged by if it is known before its jobs are trained, else 0."""
        runs = {self.trained_parent(job) for job in batch.jobs}
        return 0.0 if batch.tolerance is None or None in runs else self.spread(filter(None, runs))

    def limit(self, batch: Batch, keys: Sequence[str], spread: float) -> float | None:
        """The mean loss above which no job of a batch can be chosen any more; None if that is not known yet.

        A job that may yet be judged diverged does not count among the best.
        """
        if batch.tolerance is None or not self.recipe.training.stop_early:
            return None
        records = self.runner.records
        done = [(job, records[key]) for job, key in zip(batch.jobs, keys, strict=True) if key in records]
        moved = (r.mean_loss for job, r in done if not job.frozen and sound(self.recipe.divergence, r, spread))
        frozen = (r.mean_loss for job, r in done if job.frozen)
        return batch.tolerance.bound(min(moved, default=math.inf), next(frozen, None))

    def hand_over(self, found: SearchResult, result: RunResult) -> RunResult:
        """The result with the losses of the training run that was found. All checkpoints but its own go."""
        if found.checkpoint is None:
            self.runner.clean_up()
            return result
        return self.evaluated(found, result)

    def so_far(self) -> SearchResult:
        """What the strategy has to hand over while its last batch is not answered; its decisions, if nothing else."""
        assert self.asked is not None
        batch, records = self.asked, self.runner.records
        done = [(job, records.get(job.key(self.runner.spec))) for job in batch.jobs]
        results = [known.answer(**self.run_losses(job, known.key)) if known else None for job, known in done]
        found = batch.so_far(results) if batch.so_far else None
        return found or SearchResult(None, None, batch.trace, notes=(NOTHING_YET,))

    def hand_over_so_far(self, found: SearchResult, result: RunResult) -> RunResult:
        """The same where the search is to go on: nothing is trained for it, and no checkpoint goes."""
        if found.checkpoint and self.runner.store.has_checkpoint(found.checkpoint):
            return self.evaluated(found, result, frozenset(self.runner.kept))
        if found.checkpoint:
            result = made_by(self.runner.seen[found.checkpoint], result)
        told = next((each for each in found.results if each.checkpoint == found.checkpoint), None)
        losses = {name: finite(getattr(told, name)) for name in LOSSES} if told else {}
        return replace(result, checkpoint=None, **losses)

    def evaluated(self, found: SearchResult, result: RunResult, keep: frozenset[str] = frozenset()) -> RunResult:
        assert found.schedule is not None
        assert found.checkpoint is not None
        steps, last = result.steps, self.runner.seen[found.checkpoint]
        end = SegmentJob(steps, steps, found.schedule, found.checkpoint, evaluate=SPLITS, checkpoint=False)
        # With averages it is the one that surely has chosen between them, and so is handed over.
        averaging = bool(self.runner.spec.of(last).averaging)
        end = replace(end, seed=last.seed, optimizer=last.optimizer, checkpoint=averaging)
        (ended,) = self.run_batch(Batch("held-out loss", [end], found.trace, keep))
        scales = self.runner.records[ended.key].lr_scales
        self.notes += [group_scales.told(scales)] if scales else []
        if averaging:
            entries = tuple(self.weighed(run, found.checkpoint, ended.key) for run in result.results)
            result = replace(result, checkpoint=ended.key, results=entries)
        return replace(
            made_by(last, result),
            weights=ended.weights,
            train_loss=finite(ended.train_loss),
            validation_loss=finite(ended.metrics["validation"]["loss"]),
            test_loss=finite(ended.metrics["test"]["loss"]),
            metrics=ended.metrics,
        )

    def weighed(self, run: TrainedRun, checkpoint: str, end: str) -> TrainedRun:
        """An entry that tells which weights its losses are of; what is handed over ends with the job `end`."""
        record = self.runner.records.get(run.checkpoint or "")
        details = {**run.details, "weights": record.weights} if record and record.weights else run.details
        return replace(run, details=details, checkpoint=end if run.checkpoint == checkpoint else run.checkpoint)

    def keep(self, result: RunResult) -> None:
        """Make sure that what a finished run handed over is there, with all that led to it; leave no more behind."""
        handed_over = {result.checkpoint} if result.checkpoint else set()
        # Another search may have deleted it before this run was finished; from now on none does. And where the search
        # was only replayed, nobody has looked yet whether it is damaged.
        for each in handed_over:
            with suppress(CheckpointError):
                self.runner.store.load_checkpoint(each)
        for each in result.handed_over:
            self.runner.secure(each)
        self.runner.restore(handed_over)
        self.runner.clean_up(handed_over)

    def cost(self, seconds: float) -> Cost:
        """What the search took with what was trained ahead for it, and what the jobs beside it took."""
        others = self.cost_of(self.beside, seconds)
        own = self.cost_of(self.runner.records.keys() - self.beside, seconds)
        return replace(own.with_(self.in_vain()), reference_full_runs=others.full_runs)

    def in_vain(self) -> Cost:
        """What was trained ahead, in this and earlier goes, and not asked for."""
        run = self.runner.spec.run
        early = [record for key, record in self.runner.early.items() if key not in self.runner.records]
        own = [record for record in early if record.run == run]
        steps = sum(r.steps + r.discarded for r in own) + sum(r.remade.get(run, 0) for r in early)
        scored = sum(len(r.scores) + r.evaluated for r in own)
        return self.priced(steps, sum(r.extra_forwards for r in own), scored)

    def cost_of(self, keys: Collection[str], seconds: float) -> Cost:
        """What some jobs took: those trained for this run, in this and earlier goes, and those that others had trained.

        Attempts that failed are not counted.
        """
        run, seen, every = self.runner.spec.run, self.runner.seen, self.runner.records
        records = {key: every[key] for key in every if key in keys}
        jobs = [record for key, record in records.items() if seen[key].steps]
        own = [record for record in jobs if record.run == run]
        measured = sum(r.steps + r.discarded for r in own if seen[r.key].forward_only(self.runner.spec))
        steps = sum(r.steps + r.discarded for r in own) - measured + sum(r.remade.get(run, 0) for r in jobs)
        forwards = measured + sum(r.extra_forwards for r in own)
        scored = sum(len(r.scores) for r in records.values() if r.run == run)
        # What is only told of a model, untrained, handed over or beside the search, is no part of it.
        chosen_by = (key for key in records.keys() - self.beside if searching(seen[key]))
        scored += sum(records[key].evaluated for key in chosen_by if records[key].run == run)
        found = self.priced(steps, forwards, scored)
        return replace(found, jobs=len(jobs), jobs_reused=len(jobs) - len(own), seconds=seconds)

    def priced(self, steps: int, forwards: int, scored: int) -> Cost:
        """What so many steps and forward passes cost."""
        full_runs = (steps + FORWARD * (forwards + scored)) / self.recipe.run_spec.left
        return Cost(steps_trained=steps, extra_forwards=forwards, scored_batches=scored, full_runs=full_runs)


def searching(job: SegmentJob) -> bool:
    """Whether a job's validation metrics are there to choose by."""
    return job.steps > 0 or job.evaluate != SPLITS


def made_by(job: SegmentJob, result: RunResult) -> RunResult:
    """The result with the seed and the optimizer of the job that ended the run, where these are not the recipe's."""
    seed = result.seed if job.seed is None else job.seed
    return replace(result, seed=seed, optimizer=recipe_table(job.optimizer) if job.optimizer else {})


def check_goes_on(jobs: Sequence[SegmentJob], run: RunSpec) -> None:
    """Refuse a search that begins at step 0 of a run that is under way.

    Raises:
        UsageError: a job begins before that, or from initialisation.
    """
    if run.start and any(job.start < run.start or job.parent is None for job in jobs if not job.first_look):
        others = ", ".join(registry().marked("strategy", "goes_on"))
        raise UsageError(
            f"--from: this search trains whole runs, whose LR begins anew, and cannot begin at step {run.start}; use "
            f"one that searches what is left of a run: {others} (lrctl guide wind-down)"
        )
