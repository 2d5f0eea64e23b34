"""Lookahead search against schedules that were tuned with great care, on two panels of workloads, with fresh seeds.

    PYTHONPATH=tests python -m benchmarks.lookahead --panel A [--workloads quickstart mlp ...] [--steps 200 600 2400]
    PYTHONPATH=tests python -m benchmarks.lookahead --panel B [--only reference|lean|eps] [--json FILE]

Panel A is for design: its workloads may be looked at while constants are chosen. Panel B is for the report only: six
workloads written as other people write theirs (`benchmarks/foreign`). For each workload, length and seed: `lrctl
baseline` of WSD, linear and cosine over 13 base LRs, refined once, with five warmups and five decays, chosen by
validation loss, and `lrctl lookahead`. Then both schedules, and WSD at a guessed LR, are trained again with fresh
seeds, the same for all, and test losses are compared in pairs. Test data are used for nothing else. All runs are in
the store: what is there is not trained again. After a change of the search itself give another `--tag`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.lookahead import joint, semilocal
from benchmarks.lookahead.measured import COLUMNS, Measured, line, measure, over_seeds
from benchmarks.lookahead.panels import PANELS, Case, Entry
from lrctl.errors import LrctlError, MissingError
from lrctl.recipe.parse import parse_setting

T = TypeVar("T")
SEEDS = {"A": [0, 1, 2], "B": [0, 1]}


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.lookahead", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panel", choices=PANELS, required=True)
    parser.add_argument("--workloads", nargs="+", metavar="NAME", help="of the panel's; all by default")
    parser.add_argument("--steps", type=int, nargs="+", help="lengths in place of the panel's")
    parser.add_argument("--seeds", type=int, nargs="+", help="of the searches; by default 0 1 2, on panel B 0 1")
    parser.add_argument("--fresh", type=int, default=8, help="how many fresh seeds, from 1000")
    parser.add_argument("--only", choices=["reference", *semilocal.PAIRS], help="leave lookahead out")
    parser.add_argument("--joint", action="store_true", help=f"the joint grid too, for {' and '.join(joint.JOINT)}")
    parser.add_argument("--tag", default="", help="names lookahead's runs: another tag is searched again")
    parser.add_argument("--workers", type=int, default=1, help="processes that train")
    parser.add_argument("--store", default=".lrctl")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the recipe's")
    parser.add_argument("--json", type=Path, help="write all losses there")
    options = parser.parse_args(arguments)
    known = [entry.name for entry in PANELS[options.panel]]
    options.workloads = options.workloads or known
    if strange := set(options.workloads) - set(known):
        parser.error(f"--workloads: panel {options.panel} has no {min(strange)}; choose from: {', '.join(known)}")
    return options


def cases(options: argparse.Namespace) -> Iterator[list[Case]]:
    """The cases of each workload and length, one for each seed."""
    own = {"executor.workers": options.workers, **dict(map(parse_setting, options.set))}
    for entry in PANELS[options.panel]:
        if entry.name in options.workloads and not left_out(entry):
            seeds = (options.seeds or SEEDS[options.panel])[: 1 if entry.exact else None]
            for steps in options.steps or entry.steps:
                yield [Case(entry, steps, seed, options.store, own) for seed in seeds]


def left_out(entry: Entry) -> bool:
    if entry.missing:
        say(entry.missing)
    return bool(entry.missing)


def say(text: object) -> None:
    print(text, file=sys.stderr, flush=True)


def table(columns: list[str] | tuple[str, ...]) -> None:
    print(line(columns), line(["---"] * len(columns)), sep="\n", flush=True)


def panel(options: argparse.Namespace) -> Iterator[Measured]:
    """Measure every case, and print the table."""
    table(COLUMNS)
    gains: list[str] = []
    lost: set[str] = set()
    for alike in cases(options):
        done = []
        for case in alike:
            run = partial(measure, case, options.fresh, look=options.only is None, tag=options.tag)
            if (measured := attempt(case, run, lost)) is None:
                continue
            print(measured.row, flush=True)
            done.append(measured)
            if options.joint and case.entry.name in joint.JOINT:
                gains.append(joint.gain(measured, options.fresh))
        if len(done) > 1 and options.only is None:
            print(over_seeds(done), flush=True)
        yield from done
    if gains:
        print("", *gains, sep="\n", flush=True)


def pairs(options: argparse.Namespace) -> None:
    """Lay two semi-local searches side by side for each case."""
    table(semilocal.columns(options.only))
    lost: set[str] = set()
    for case in (case for alike in cases(options) for case in alike):
        if row := attempt(case, partial(semilocal.row, case, options.only), lost):
            print(row, flush=True)


def attempt(case: Case, run: Callable[[], T], lost: set[str]) -> T | None:
    """What a case gives; None if it cannot be run, which is told, and once only if its data are not here."""
    try:
        return run()
    except LrctlError as error:
        what = case.entry.name if isinstance(error, MissingError) else case.title
        if (text := f"{what}: left out: {error}") not in lost:
            say(text)
        lost.add(text)
        return None


def main(arguments: list[str] | None = None) -> None:
    """Run a panel, print its table."""
    options = parsed(arguments)
    if options.only in semilocal.PAIRS:
        pairs(options)
        return
    documents = [measured.document for measured in panel(options)]
    if options.json:
        options.json.write_text(json.dumps(documents), encoding="utf-8")
        say(f"all losses: {options.json}")


if __name__ == "__main__":
    main()
