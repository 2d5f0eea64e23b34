"""`lrctl transfer` measured: on 27 problems whose runs are computed, and on real workloads.

    PYTHONPATH=tests python -m benchmarks.transfer exact [--steps 800] [--budget 0.9]
    PYTHONPATH=tests python -m benchmarks.transfer real --panel A --workloads mlp --steps 2400 [--seeds 0] [--json FILE]

The first takes seconds. The second trains the answer, and then grid-searches its peak LR over whole runs, a factor 1.5
apart until the best lies inside, chosen by validation loss: some four to eight runs a case. With `--fresh 8` it tunes
WSD with a decay of 0.2, linear and cosine as well, and trains the answer and the best of the four again with so many
fresh seeds: some thirty runs more. Test losses are compared, and used for nothing else. All runs are in the store, and
each is recorded in FILE.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.lookahead.measured import line
from benchmarks.lookahead.panels import Case
from benchmarks.transfer import real, shapes
from benchmarks.transfer.exact import Outcome, outcome
from benchmarks.transfer.panels import PANELS
from benchmarks.transfer.problems import problems
from lrctl.errors import LrctlError
from lrctl.recipe.parse import parse_setting


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks.transfer", description=__doc__, formatter_class=form)
    kinds = parser.add_subparsers(dest="kind", required=True)
    exact, panel = kinds.add_parser("exact"), kinds.add_parser("real")
    exact.add_argument("--steps", type=int, default=800)
    for each in (exact, panel):
        each.add_argument("--budget", type=float, default=0.9)
    panel.add_argument("--panel", choices=PANELS, required=True)
    panel.add_argument("--workloads", nargs="+", required=True, metavar="NAME", help="of the panel's")
    panel.add_argument("--steps", type=int, nargs="+", default=[2400])
    panel.add_argument("--seeds", type=int, nargs="+", default=[0])
    panel.add_argument("--fresh", type=int, default=0, help="how many fresh seeds, from 1000, beside the tuned shapes")
    panel.add_argument("--beside", action="store_true", help="also cosine at usual LRs, and at an LR range test's")
    panel.add_argument("--store", default=".lrctl")
    panel.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the recipe's")
    panel.add_argument("--json", type=Path, help="write all runs there")
    return parser.parse_args(arguments)


def on_problems(options: argparse.Namespace) -> None:
    outcomes = [outcome(problem, options.steps, budget=options.budget) for problem in problems()]
    table(("problem", "peak", "true", "interval", "excess of the last doubling's gain"))
    for each in outcomes:
        print(row(each))
    error = math.sqrt(fmean(each.error**2 for each in outcomes))
    runs = fmean(each.summary["full_runs"] for each in outcomes)
    inside = sum(each.inside for each in outcomes)
    print(
        f"\n{inside} of {len(outcomes)} intervals hold the best LR; error {error:.2f} in ln LR (rms); {runs:.2f} runs"
    )


def row(each: Outcome) -> str:
    low, high = each.summary["interval"]
    name = f"a {each.problem.spectrum:g}, s {each.problem.source:g}, noise {each.problem.noise:g}"
    share = f"{each.excess / each.gain:.1%}"
    return line((name, f"{each.summary['peak_lr']:.3g}", f"{each.true:.3g}", f"{low:.3g} to {high:.3g}", share))


def on_workloads(options: argparse.Namespace) -> None:
    own = dict(map(parse_setting, options.set))
    entries = [entry for entry in PANELS[options.panel] if entry.name in options.workloads]
    cases = [
        Case(entry, n, seed, options.store, own) for entry in entries for n in options.steps for seed in options.seeds
    ]
    done = []
    table(real.COLUMNS)
    for case in cases:
        try:
            done.append(real.measure(case, options.budget))
        except LrctlError as error:
            print(f"{case.title}: {error}")
        else:
            print(done[-1].row, flush=True)
            for name, loss in beside(case) if options.beside else ():
                print(f"{case.title}: {name}: test loss {loss:.4f}", flush=True)
    if done:
        print(f"\n{real.summed_up(done)}\n", flush=True)
    documents = [each.document for each in done]
    if options.fresh and done:
        documents = [
            document | more for document, more in zip(documents, on_fresh_seeds(done, options.fresh), strict=True)
        ]
    if options.json:
        options.json.write_text(json.dumps(documents), encoding="utf-8")


def on_fresh_seeds(done: Sequence[real.Measured], count: int) -> list[dict[str, Any]]:
    """Print a table of the answers beside the best of the tuned shapes; all of it for JSON."""
    table(shapes.COLUMNS)
    rows = []
    for measured in done:
        rows.append(shapes.beside(measured, count))
        print(rows[-1].row, flush=True)
    print(f"\n{shapes.summed_up(rows)}")
    return [each.document for each in rows]


def table(columns: Sequence[str]) -> None:
    print(line(columns), line(["---"] * len(columns)), sep="\n", flush=True)


def beside(case: Case) -> Iterable[tuple[str, float]]:
    from benchmarks.transfer import range_test  # which takes Lightning

    return range_test.beside(case).items()


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a table."""
    options = parsed(arguments)
    (on_problems if options.kind == "exact" else on_workloads)(options)


if __name__ == "__main__":
    main()
