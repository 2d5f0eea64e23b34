"""One run from recipe to result document: its name, its folder in the store, and the session that carries it out."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from lrctl.contracts.canonical import digest
from lrctl.contracts.job import NUMERICS, TrainSpec
from lrctl.contracts.strategy import Search, SearchResult
from lrctl.engine.prepare import environment, prepare
from lrctl.engine.session import Session, notify
from lrctl.errors import StoreError
from lrctl.recipe.schema import Recipe
from lrctl.registry.registry import registry
from lrctl.storage.run_result import Outcome, result_document, schedule_document
from lrctl.storage.runs import FinishedRun
from lrctl.storage.store import Store


def search(
    command: str,
    recipe: Recipe,
    *,
    store: str | Path = ".lrctl",
    name: str | None = None,
    fresh: bool = False,
) -> dict[str, Any]:
    """Run the strategy `command` on a recipe and return the result document, as `--json` prints it.

    The same search again continues where it stopped; a finished one returns its result at once.

    Args:
        command: a registered strategy's name.
        recipe: from `lrctl.recipe.schema.read`.
        store: the folder that holds jobs, checkpoints and runs.
        name: of the run; by default the command and a hash of all that decides the result.
        fresh: start over, whatever the store holds.

    Raises:
        UsageError: the recipe, workload or name cannot be used.
        NoValidCandidateError: every candidate of a choice diverged.
        JobFailedError: a job failed on every attempt.
    """
    place = Store(store)
    if name is not None:
        place.run(name)  # refuses a bad name before anything is prepared
    document = (None if fresh else finished_before(place, command, recipe, name)) or searched(
        place, command, recipe, name, fresh
    )
    document |= {"files": place.files(document)}
    notify("search_finished", document=document)
    return document


def searched(place: Store, command: str, recipe: Recipe, name: str | None, fresh: bool) -> dict[str, Any]:
    """The result document of a search that begins, or goes on."""
    began = time.monotonic()
    part, params = registry().get("strategy", command), recipe.params(command)
    moved = begun(part.target(params, recipe.run_spec))
    spec = None if isinstance(moved, SearchResult) else prepare(recipe)
    name, frozen = identity(command, recipe, spec, name)
    if fresh:
        place.remove_run(name)
    place.begin(name, frozen, environment(spec))

    def finish(outcome: Outcome) -> dict[str, Any]:
        document = result_document(command, name, recipe, outcome, time.monotonic() - began)
        place.finish(name, document, schedule_document(document))
        return document

    if isinstance(moved, SearchResult):
        return finish(Outcome(moved))
    assert spec
    with closing(Session(place, replace(spec, run=name), recipe, fresh)) as session:
        document = finish(session.hand_over(session.drive(moved)))
        session.keep(document["checkpoint"])
    return document


def finished_before(place: Store, command: str, recipe: Recipe, name: str | None) -> dict[str, Any] | None:
    """The result document of the same search, if it is finished and what it handed over is still there."""
    tables = recipe.frozen(command)
    alike = {run: frozen for run in place.runs() if (frozen := place.recipe(run)).partition("\n")[2] == tables}
    # Whether a search trains is known only once it has begun, and that may take its time.
    for task_of in (lambda: None, lambda: prepare(recipe)) if alike else ():
        run, frozen = identity(command, recipe, task_of(), name)
        document = place.document(run) if alike.get(run) == frozen else None
        if document and whole(FinishedRun(place, run, document)):
            return document | {"run": run}  # its folder may have been renamed
    return None


def whole(run: FinishedRun) -> bool:
    """Whether what a finished run handed over is still there, and is what its schedule's family gives."""
    key = run.document["checkpoint"]
    try:
        return key is None or (run.store.checkpoint(key).exists() and not run.outdated)
    except StoreError:  # a job that led to it is missing or damaged: the search makes it again
        return False


def identity(command: str, recipe: Recipe, spec: TrainSpec | None, name: str | None) -> tuple[str, str]:
    """A run's name and frozen recipe, which begins with what decides the result beside the recipe."""
    decided = "nothing trained" if spec is None else f"device {spec.identity['device']}, content {spec.content}"
    frozen = f"# numerics {NUMERICS}, {decided}\n{recipe.frozen(command)}"
    return name or f"{command}-{digest(frozen)[:8]}", frozen


def begun(search: Search) -> SearchResult | Search:
    """A search after its first move: what it found if it trains nothing, else the search to go on with."""
    try:
        first = next(search)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]

    def onward() -> Search:
        batch = first
        while True:
            results = yield batch
            try:
                batch = search.send(results)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    return onward()
