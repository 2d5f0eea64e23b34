"""Lookahead search against the best of five tuned families, on a panel of workloads, with fresh seeds.

    python tests/benchmarks/lookahead.py [--only quickstart bytes ...] [--seeds 0 1 2] [--fresh 8] [--store .lrctl]

For each workload and seed: `lrctl baseline` of WSD, cosine, linear, triangle and quadratic, its base LR refined once,
chosen by validation loss, and `lrctl lookahead`, chosen by training batches kept aside. Then the schedule of each is
trained again with fresh seeds, the same for both, and the test losses are compared in pairs. Test data are used for
nothing else. What is in the store already is not trained again. Not part of the test run.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import lrctl
from lrctl.analysis.statistics import paired
from lrctl.contracts.job import SegmentJob
from lrctl.contracts.strategy import Batch
from lrctl.engine.executors import Executors
from lrctl.engine.job_runner import JobRunner
from lrctl.engine.prepare import prepare
from lrctl.engine.session import Session
from lrctl.recipe import parse as recipes
from lrctl.storage.runs import finished
from lrctl.storage.store import Store

FIRST_FRESH = 1000
COLUMNS = ("its runs", "runs", "its test loss", "test loss", "its fresh", "fresh", "difference")
BASELINE = {
    "strategy.baseline.family": ["wsd", "cosine", "linear", "triangle", "quadratic"],
    "strategy.baseline.grid": [3.33e-2, 1e-2, 3.33e-3, 1e-3],
    "strategy.baseline.refine": 1,
}
MLP = {"workload.model": "mlp", "workload.width": 16, "training.steps": 600}
WIDE = {"workload.tokenizer": "bpe:1024", "workload.layers": 3, "workload.d_model": 96}
PANEL: dict[str, tuple[str, dict[str, Any]]] = {
    "quickstart": ("quickstart", {}),
    "bytes": ("quickstart", {"workload.tokenizer": "bytes"}),
    "wide": ("quickstart", WIDE),
    "fashion-mnist": ("fashion-mnist", {}),
    "mlp": ("fashion-mnist", MLP),
}
EXACT, OPTIMUM = "shape-linear-regression", 0.004637
"""The optimum is that of `lrctl shape --recipe shape-linear-regression --optimum`."""


@dataclass(frozen=True)
class Searched:
    """One seed's two searches, and the test losses of what they found on fresh seeds."""

    seed: int
    baseline: dict[str, Any]
    lookahead: dict[str, Any]
    fresh: dict[str, list[float]]

    @property
    def differences(self) -> list[float]:
        """Lookahead's test loss less the baseline's, for each fresh seed."""
        return [a - b for a, b in zip(self.fresh["lookahead"], self.fresh["baseline"], strict=True)]


def searched(name: str, seed: int, fresh: int, store: str, own: dict[str, Any]) -> Searched:
    """Search both, and train what they found again."""
    recipe, settings = PANEL[name]
    settings = {**settings, "training.seed": seed, **own}
    found = {
        command: lrctl.search(command, recipe, settings={**settings, **more}, store=store)
        for command, more in (("baseline", BASELINE), ("lookahead", {}))
    }
    read = recipes.read(recipe, settings)
    seeds = range(FIRST_FRESH, FIRST_FRESH + fresh)
    place, spec = Store(store), prepare(read)
    with closing(Executors()) as executors:
        session = Session(JobRunner(place, spec, executors.get(read.executor, place, spec.device)), read)
        losses = {}
        for command, document in found.items():
            schedule = finished(store, document["run"]).rebuilt
            jobs = [
                SegmentJob(0, document["steps"], schedule, evaluate=("test",), checkpoint=False, seed=s) for s in seeds
            ]
            results = session.run_batch(Batch("fresh seeds", jobs, judge=False))
            losses[command] = [result.metrics["test"]["loss"] for result in results]
    return Searched(seed, found["baseline"], found["lookahead"], losses)


def row(name: str, each: Searched) -> str:
    """A row of the table: one workload and seed."""
    mean, interval = told(each.differences)
    best = each.baseline["schedule"]["family"]
    tuning = each.baseline["prefix_sharing"]["steps"] / each.baseline["steps"]
    plain = [f"{tuning:.1f}", f"{each.lookahead['full_runs']:.1f}"]
    losses = [f"{each.baseline['test_loss']:.4f}", f"{each.lookahead['test_loss']:.4f}"]
    fresh = [f"{fmean(each.fresh[command]):.4f}" for command in ("baseline", "lookahead")]
    return " | ".join([f"| {name}, {each.seed}", best, *plain, *losses, *fresh, f"{mean} {interval} |"])


def told(differences: list[float]) -> tuple[str, str]:
    """The mean of paired differences, and its 95 % interval."""
    interval, _ = paired(differences)
    return f"{fmean(differences):+.4f}", f"({interval[0]:+.4f} to {interval[1]:+.4f})" if interval else ""


def exact(store: str, own: dict[str, Any]) -> str:
    """How far lookahead comes on least squares without noise, beginning at grids that lie otherwise."""
    found = []
    for shift in (1.0, 1.1, 0.8, 1.5, 0.6, 0.7, 1.3):
        grid = [lr * shift for lr in (1e-3, 3.33e-3, 1e-2)]
        settings = {"strategy.lookahead.grid": grid, **own}
        document = lrctl.search("lookahead", EXACT, settings=settings, store=store)
        found.append(f"{document['test_loss'] / OPTIMUM:.2f} at {document['full_runs']:.1f}")
    return f"linear regression, test loss / optimum at full runs, by where the grid begins: {', '.join(found)}"


def main() -> None:
    """Run the panel, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*PANEL, "exact"], default=[*PANEL, "exact"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--fresh", type=int, default=8, help="fresh seeds, from 1000")
    parser.add_argument("--store", default=".lrctl")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=JSON", help="a setting of the recipe's")
    parser.add_argument("--json", type=Path, help="write all losses there")
    options = parser.parse_args()
    own = {key: json.loads(value) for key, _, value in (text.partition("=") for text in options.set)}
    print("| workload, seed | best family | " + " | ".join(COLUMNS) + " |")
    print("|---|---|---|---|---|---|---|---|---|")
    losses = {}
    for name in (each for each in options.only if each in PANEL):
        done = []
        for seed in options.seeds:
            done.append(searched(name, seed, options.fresh, options.store, own))
            print(row(name, done[-1]), flush=True)
        over_seeds = [fmean(pair) for pair in zip(*(each.differences for each in done), strict=True)]
        print(f"| {name}, all | | | | | | | | {' '.join(told(over_seeds))} |", flush=True)
        losses[name] = {each.seed: each.fresh for each in done}
    if "exact" in options.only:
        print(exact(options.store, own))
    if options.json:
        options.json.write_text(json.dumps(losses), encoding="utf-8")
        print(f"all losses: {options.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
