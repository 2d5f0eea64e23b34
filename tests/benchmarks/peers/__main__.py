"""Searches of lrctl, tuned schedules, and other tools side by side on one workload.

    pip install -c constraints.txt -e '.[quickstart,benchmark]'
    PYTHONPATH=tests python -m benchmarks.peers [--recipe quickstart] [--steps N] [--seeds 0 1 2] [--only NAME ...]

Each contender trains in a process of its own with the recipe's threads. Results are added to `results.jsonl` in
`--out`, beside `table.md` and `figure.svg`: what is there already is not trained again, so the same command goes on
where it was stopped. After a change of lrctl or of the machine choose another `--out`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.peers import records
from benchmarks.peers.contenders import CONTENDERS, REFERENCE, budget, contend
from benchmarks.peers.contest import Contest
from benchmarks.peers.records import Record
from benchmarks.peers.report import markdown, rows, svg
from lrctl.errors import UsageError
from lrctl.recipe import parse as recipe

say = partial(print, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    """The flags; without `--steps` the recipe's."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default=recipe.DEFAULT)
    parser.add_argument("--steps", type=int, help="of one run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path(".lrctl-peers"), help="folder of the results")
    parser.add_argument("--at-once", type=int, default=1, help="contenders at a time; more than 1 blurs the seconds")
    parser.add_argument("--render", action="store_true", help="only write table and figure again")
    options = parser.parse_args()
    options.steps = options.steps or recipe.read(options.recipe).training.steps
    return options


def missing(options: argparse.Namespace, found: Sequence[Record], *, rivals: bool) -> list[tuple[str, Contest]]:
    """What is not recorded yet: of the rivals, whose budget others decide, or of those others."""
    wanted = []
    for seed in options.seeds:
        for name in (each for each in options.only if bool(CONTENDERS[each].budget) == rivals):
            given = budget(name, options.steps, seed, found)
            if not any(each.is_of(name, options.steps, seed) and each.budget == given for each in found):
                wanted.append((name, Contest(options.recipe, options.steps, seed, given)))
    return wanted


def measure(wanted: Sequence[tuple[str, Contest]], path: Path, at_once: int) -> bool:
    """Carry contenders out and record them; whether all could be. One that cannot does not stop the others."""
    well = True
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        done: dict[Future[Record], tuple[str, Contest]] = {pool.submit(contend, *each): each for each in wanted}
        for future in as_completed(done):
            name, contest = done[future]
            try:
                found = future.result()
            except (ImportError, UsageError) as error:
                say(f"{name}, seed {contest.seed}: left out: {error}")
            except Exception as error:
                say(f"{name}, seed {contest.seed}: failed: {type(error).__name__}: {error}")
                well = False
            else:
                records.append(path, found)
                say(
                    f"{name}, seed {contest.seed}: test loss {found.test_loss:.4f}, {found.steps_trained} steps trained"
                )
    return well


def render(options: argparse.Namespace, found: Sequence[Record]) -> None:
    """Write the table and the figure, and print the table."""
    by_name = {name: records.last(found, name, options.steps, options.seeds) for name in CONTENDERS}
    table = rows(by_name, REFERENCE)
    if not table:
        say("there are no results yet")
        return
    seeds = f"{len(options.seeds)} seed{'s' * (len(options.seeds) > 1)}"
    (options.out / "table.md").write_text(markdown(table, REFERENCE), encoding="utf-8")
    title = f"Test loss on {Path(options.recipe).stem}, {options.steps} steps, {seeds}"
    (options.out / "figure.svg").write_text(svg(table, title), encoding="utf-8")
    print(markdown(table, REFERENCE), end="")


def main() -> int:
    """Measure what is missing, first those that decide the budgets; then report."""
    options = parsed()
    options.out.mkdir(parents=True, exist_ok=True)
    path, well = options.out / "results.jsonl", True
    for rivals in () if options.render else (False, True):
        wanted = missing(options, records.read(path, options.recipe), rivals=rivals)
        well &= measure(wanted, path, options.at_once)
    render(options, records.read(path, options.recipe))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
