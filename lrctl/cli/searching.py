"""A search for each seed that is asked for, or what these would take."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, redirect_stdout
from functools import partial
from typing import Any

from lrctl.cli.exit import Ended
from lrctl.cli.flags import split
from lrctl.cli.options import print_json
from lrctl.cli.say import say
from lrctl.errors import BudgetReachedError, UsageError

SUMMED = ("jobs", "jobs_known", "steps", "forwards", "full_runs", "reference_full_runs")
"""What several searches take together is the sum of; time is what the first takes, so many times."""


def seeds_of(overrides: Mapping[str, Any], text: str | None) -> list[dict[str, int]]:
    """What `--seeds 0,1,2` changes in the recipe, for each seed; without it one search, in which it is nothing.

    Raises:
        UsageError: these are no seeds.
    """
    if text is None:
        return [{}]
    seeds = list(dict.fromkeys(split(text, int, "--seeds")))
    if not seeds or min(seeds) < 0:
        raise UsageError(f"--seeds {text}: must be whole numbers of at least 0 with commas between them, such as 0,1,2")
    if "training.seed" in overrides:
        raise UsageError(f"--seeds {text}: --seed is given too; leave one of them out")
    return [{"training.seed": seed} for seed in seeds]


def run(command: str, recipes: Sequence[Any], options: Mapping[str, Any]) -> None:
    from lrctl.engine import run as runs
    from lrctl.engine.executors import Executors
    from lrctl.planning.estimate import check_memory
    from lrctl.report import progress, terminal
    from lrctl.storage.labels import label
    from lrctl.storage.store import Store

    store = Store(options["store"])  # which finds itself again wherever the user's own code goes
    results = []
    with progress.shown(quiet=options["quiet"]), redirect_stdout(sys.stderr), closing(Executors()) as kept:
        for recipe in recipes:
            where = {"store": store.address, "name": named(options["name"], recipe, recipes), "fresh": options["fresh"]}
            check = partial(check_memory, store=store.address, kept=kept)
            where |= {"executors": kept, "check": check, "budget": options["budget"]}
            results.append(runs.search(command, recipe, **where))
            label(store, results[-1].run, options["labels"])
    if len(results) > 1:
        tell_together(store, results, as_json=options["as_json"])
    elif options["as_json"]:
        print_json(store.runs.document(results[0]))
    else:
        # On a terminal the progress has just told them.
        notes = not (options["quiet"] or sys.stdout.isatty())
        terminal.print_summary(results[0], store.runs.files(results[0]), notes=notes)
    if reached := dict.fromkeys(result.reached for result in results if result.reached):
        for each in reached if options["quiet"] else ():  # an exit code has its reason
            say(f"{each}; {runs.GO_ON}", err=True)
        raise Ended(BudgetReachedError.exit_code)


def named(name: str | None, recipe: Any, recipes: Sequence[Any]) -> str | None:
    """The name of the run of a recipe: of several seeds each has its own."""
    return f"{name}-seed{recipe.training.seed}" if name and len(recipes) > 1 else name


def tell_together(store: Any, results: Sequence[Any], *, as_json: bool) -> None:
    """The runs of several seeds, compared as `lrctl compare` does."""
    from lrctl.report import tables, terminal
    from lrctl.report.compare import compare
    from lrctl.report.console import show, stdout

    trained = [result.run for result in results if result.trained and not result.reached]
    with redirect_stdout(sys.stderr):
        found = compare(store.address, trained) if trained else None
    if as_json:
        documents = [store.runs.document(result) for result in results]
        print_json({"format": "lrctl-seeds/1", "runs": documents, "comparison": found and found.to_json()})
        return
    if found:
        terminal.print_tables(tables.comparison_tables(found))
    show(stdout(), *(f"{result.run}: {store.runs.files(result)['result']}" for result in results))


def plan(command: str, recipes: Sequence[Any], options: Mapping[str, Any]) -> None:
    from lrctl.planning.estimate import estimate
    from lrctl.report import terminal
    from lrctl.storage.location import location
    from lrctl.storage.runs import there

    store = location(options["store"])  # the user's own code may go elsewhere
    with redirect_stdout(sys.stderr):
        first = estimate(command, recipes[0], store=store)
        passes = first["passes_per_evaluation"]
        others = [estimate(command, each, store=store, measure=False, passes=passes) for each in recipes[1:]]
    every = [first, *others]
    total = first | {name: sum(each[name] for each in every) for name in SUMMED}
    if len(every) > 1:
        seeds = [recipe.training.seed for recipe in recipes]
        total |= {"seeds": seeds, "seconds": first["seconds"] and first["seconds"] * len(recipes)}
    largest = max(each["steps"] for each in every)  # each seed has its own limit of steps
    if told := options["budget"].told(total | {"steps": largest}, there(store)):
        total |= {"budget": told}
    if options["as_json"]:
        print_json(total)
    else:
        terminal.print_estimate(total)
