"""What training ahead brings: how long a search takes with 1, 2 and 4 workers, with `--speculate` and without.

    PYTHONPATH=tests python tests/benchmarks/speculation.py lookahead [--recipe NAME] [--steps N] [--set KEY=VALUE]

The search is carried out once, or taken from `--store`, and then again on workers that take no time, whose clock tells
how long they would have taken: a step is 1, a batch that is scored a third, and starting, loading and saving nothing.
So the numbers are exact, and the same on every machine. What the search finds is compared to the bit. Not part of the
test run.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from lrctl.engine import futures, run
from lrctl.recipe import parse as recipes
from lrctl.recipe.schema import Recipe
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from virtual import Kept, Recorded, Virtual

WORKERS = (1, 2, 4)


@dataclass(frozen=True)
class Taken:
    """How long a search took in steps, and what it came to."""

    workers: int
    ahead: bool
    steps: float
    result: RunResult


def carried_out(command: str, recipe: Recipe, source: Path, workers: int, *, ahead: bool) -> Taken:
    """A search over jobs that a store has."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        virtual = Virtual(workers, Recorded(store, Store(source)), store)
        kept = Kept(virtual=virtual)
        result = run.search(command, replace(recipe, speculate=ahead), store=folder, executors=kept)
        return Taken(workers, ahead, virtual.now, result)


def main() -> None:
    """Print a row for each number of workers, with and without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command")
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args()
    settings = dict(recipes.parse_setting(text) for text in options.settings)
    settings |= {"training.steps": options.steps} if options.steps else {}
    recipe = recipes.read(options.recipe, settings)
    source = options.store or Path(tempfile.mkdtemp(prefix="speculation-"))
    run.search(options.command, recipe, store=source)
    futures.SHARE = float("inf")  # of a search that takes no time
    found = [
        carried_out(options.command, recipe, source, workers, ahead=ahead)
        for workers in WORKERS
        for ahead in (False, True)
    ]
    first = found[0]
    print("| workers | `--speculate` | time in steps | times as fast | cost, full runs | of them in vain |")
    print("|---|---|---|---|---|---|")
    for each in found:
        assert replace(each.result, cost=first.result.cost) == first.result, "what was found is not the same"
        cost, flag = each.result.cost, "yes" if each.ahead else "no"
        told = (f"{each.steps:.0f}", f"{first.steps / each.steps:.2f}", f"{cost.full_runs:.1f}")
        print(f"| {each.workers} | {flag} | {' | '.join(told)} | {cost.speculated_full_runs:.1f} |")


if __name__ == "__main__":
    main()
