"""One run from recipe to result: its name, its folder in the store, and the session that carries it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from lrctl import documents
from lrctl.contracts.horizon import few
from lrctl.contracts.job import TrainSpec
from lrctl.contracts.schedule import AdaptiveSchedule, Schedule
from lrctl.contracts.strategy import SearchResult, advance, relayed
from lrctl.engine.budget import Budget
from lrctl.engine.executors import Executors, can_speculate
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.prepare import environment, prepare
from lrctl.engine.session import Session
from lrctl.engine.timing import seconds_alone
from lrctl.engine.tracking import tracked
from lrctl.errors import BudgetReachedError, StoreError
from lrctl.recipe.schema import Recipe
from lrctl.registry.observers import notify
from lrctl.registry.registry import registry
from lrctl.registry.schedules import recorded
from lrctl.storage.identity import RunIdentity
from lrctl.storage.run_result import PARTIAL, RunResult
from lrctl.storage.runs import FinishedRun, closed
from lrctl.storage.store import Store

GO_ON = "the same command with a larger budget, or with none, goes on"

TRIES = 30
"""How often a run is closed whose folder is taken away at that very moment."""


def search(
    command: str,
    recipe: Recipe,
    *,
    store: str | Path = ".lrctl",
    name: str | None = None,
    fresh: bool = False,
    executors: Executors | None = None,
    check: Callable[[str, Recipe], None] | None = None,
    budget: Budget | None = None,
) -> RunResult:
    """Run the strategy `command` on a recipe.

    The same search again continues where it stopped; a finished one returns its result at once. `executors` keep the
    workers of this search for the next one; by default they are stopped. `check` is called with the command and the
    recipe of a search that is not finished, and may refuse it. One whose `budget` is reached has status `partial`. The
    rest is as in `lrctl.search`.
    """
    place = Store(store)
    if name is not None:
        place.runs.check_name(name)  # before anything is prepared
    run = Run(place, command, recipe, name, fresh)
    if recipe.start:
        run.go_on()
        recipe = run.recipe
    if not fresh and (finished := run.finished_before()):
        notify("search_finished", result=finished)
        return finished
    if recipe.start:
        run.check_kept()
    with tracked(place, recipe):
        if check:
            check(command, recipe)
        result = run.carry_out(executors, budget or Budget())
        notify("search_finished", result=result)
    return result


@dataclass
class Run:
    """A run that is to be finished."""

    store: Store
    command: str
    recipe: Recipe
    name: str | None
    fresh: bool = False
    notes: tuple[str, ...] = ()

    def go_on(self) -> None:
        """Take the checkpoint of a run that is under way into the store."""
        from lrctl.engine.begun import imported  # which takes torch

        self.recipe, self.notes = imported(self.store, self.recipe, self.spec)

    def check_kept(self) -> None:
        """Refuse to search on from a checkpoint that is gone. A finished search needs it no more."""
        from lrctl.engine.begun import check_kept

        check_kept(self.store, self.recipe)

    @cached_property
    def spec(self) -> TrainSpec:
        """What its jobs share. The workload's data are made ready and digested for it, once."""
        return prepare(self.recipe)

    @cached_property
    def toml(self) -> str:
        """The recipe with every value that decides the result spelt out, once."""
        return self.recipe.to_toml(self.command)

    def identity(self, *, trains: bool) -> RunIdentity:
        return RunIdentity.of(self.command, self.recipe, self.spec if trains else None)

    def finished_before(self) -> RunResult | None:
        """The result of the same search, if it is finished and what it handed over is still there."""
        # Whether a search trains is known only once it has begun, and that may take its time: the runs tell.
        bare = self.identity(trains=False)
        for run in [self.name] if self.name else self.store.runs.names():
            known = self.store.runs.identity(run)
            if known is None or replace(known, device=None, content=None) != bare:
                continue
            if known == (bare if known.content is None else self.identity(trains=True)):
                result = self.store.runs.result(run)
                if result and FinishedRun(self.store, run, result).whole:
                    return replace(result, run=run)  # its folder may have been renamed
        return None

    def carry_out(self, executors: Executors | None, budget: Budget) -> RunResult:
        began = time.monotonic()
        strategy, params = registry().get("strategy", self.command), self.recipe.params(self.command)
        search = strategy.target(params, self.recipe.run_spec)
        moved = advance(search)
        name = self.open(trains=not isinstance(moved, SearchResult))
        if isinstance(moved, SearchResult):
            result = self.result(name, moved)
            self.finish(result, trains=False)
            return result
        spec = replace(self.spec, run=name)
        with closing(Executors()) if executors is None else nullcontext(executors) as kept:
            seconds = partial(seconds_alone, spec, moved, self.recipe.run_spec.left)
            choice = kept.chosen(self.recipe.executor, self.store, spec.device, seconds)
            runner = JobRunner(self.store, spec, kept.get(choice, self.store, spec.device), self.fresh)
            session = Session(runner, self.recipe, budget=budget)
            runner.early = self.store.trained_ahead(name)
            if self.recipe.speculate and can_speculate(choice, spec.device):
                session.train_ahead(partial(strategy.target, params, self.recipe.run_spec))
            try:
                try:
                    found = session.drive(relayed(search, moved))
                except BudgetReachedError as reached:
                    return self.leave(session, name, str(reached), began)
                result = session.hand_over(found, self.result(name, found))
                cost, notes = session.cost(time.monotonic() - began), (*session.notes, *result.notes)
                result = replace(result, cost=cost, notes=notes)
                self.finish(result, trains=True)
                session.keep(result)
            except BaseException:
                kept.close()  # or its jobs would be answered to the next search
                raise
        return result

    def leave(self, session: Session, name: str, reached: str, began: float) -> RunResult:
        """Hand over what a search has found whose budget is reached. The run stays unfinished."""
        found = session.so_far()
        result = session.hand_over_so_far(found, self.result(name, found))
        notes = (*session.notes, *result.notes, f"{reached}; {GO_ON}")
        cost = session.cost(time.monotonic() - began)
        result = replace(result, status=PARTIAL, reached=reached, next="", cost=cost, notes=notes)
        self.store.runs.leave(result)
        return result

    def open(self, *, trains: bool) -> str:
        """Begin the run in the store; returns its name."""
        name = self.name or self.identity(trains=trains).name
        if self.fresh:
            self.store.runs.restart(name)
        self.begin(name, trains=trains)
        config = documents.from_toml(self.toml)
        notify("search_started", run=name, command=self.command, config=config)
        return name

    def begin(self, name: str, *, trains: bool) -> None:
        ran_on = environment(self.spec if trains else None)
        self.store.runs.begin(name, self.identity(trains=trains), self.toml, ran_on)

    def finish(self, result: RunResult, *, trains: bool, tries: int = TRIES) -> None:
        """Close the run, and again where it was removed or restarted meanwhile: what ends is whole.

        Raises:
            UsageError: a search with other settings has taken its name meanwhile.
        """
        try:
            if tries < TRIES or self.store.runs.identity(result.run) != self.identity(trains=trains):
                self.begin(result.run, trains=trains)
            self.store.runs.finish(result)
            whole = closed(self.store, result.run)
        except StoreError as error:
            whole = False
            if not tries or not self.store.runs.lost_run(error):
                raise
        if tries and not whole:
            self.finish(result, trains=trains, tries=tries - 1)

    def result(self, name: str, found: SearchResult) -> RunResult:
        """What was found, as a document tells it: without the losses and the cost of training."""
        as_found = ("checkpoint", "tables", "charts", "data", "results", "reference", "chosen_by", "next", "summary")
        notes = [*self.notes, *found.notes, *(note for segment in found.trace for note in segment.notes)]
        notes += few(self.recipe.run_spec.left) if found.checkpoint else ()
        return RunResult(
            command=self.command,
            run=name,
            workload=self.recipe.workload.name,
            seed=self.recipe.training.seed,
            steps=self.recipe.training.steps,
            start=self.recipe.run_spec.start,
            schedule=None if found.schedule is None else recorded(self.whole(found.schedule)),
            segments=found.trace,
            notes=tuple(notes),
            **{name: getattr(found, name) for name in as_found},
        )

    def whole(self, schedule: Schedule | AdaptiveSchedule) -> Schedule | AdaptiveSchedule:
        """A schedule that was found with what the run has done before."""
        start = self.recipe.start
        if start is None or isinstance(schedule, AdaptiveSchedule):
            return schedule
        return start.joined(schedule, self.recipe.training.steps)
