"""Searches, tuned baselines and closed forms side by side over seeds, as `lrctl compare` prints them.

    python tests/benchmarks/seeds.py [--recipe quickstart] [--seeds 0 1 2] [--store .lrctl]

What is in the store already is not trained again; its cost is then counted as reused. Not part of the test run.
"""

from __future__ import annotations

import argparse
from typing import Any

import lrctl
from lrctl.report.compare import compare
from lrctl.report.tables import comparison_tables
from lrctl.report.terminal import print_tables

SEMILOCAL = {"strategy.semilocal.eps": 0.48, "strategy.semilocal.decay": True}
NATS = {"strategy.semilocal.eps_unit": "nats"}
TUNE = {"strategy.fit-closed-form.tune": True, "strategy.fit-closed-form.family": ["triangle", "quadratic"]}


def runs_of(seed: int, recipe: str, store: str) -> list[str]:
    """The names of the runs of one seed."""

    def search(command: str, settings: dict[str, Any]) -> str:
        settings = {**settings, "training.seed": seed}
        return str(lrctl.search(command, recipe, settings=settings, store=store)["run"])

    found = search("semilocal", SEMILOCAL)
    others = [search("semilocal", SEMILOCAL | NATS), search("local", {}), search("baseline", {})]
    return [found, *others, search("fit-closed-form", TUNE | {"strategy.fit-closed-form.source": found})]


def main() -> None:
    """Run the searches, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--store", default=".lrctl")
    options = parser.parse_args()
    names = [name for seed in options.seeds for name in runs_of(seed, options.recipe, options.store)]
    print_tables(comparison_tables(compare(options.store, names)))


if __name__ == "__main__":
    main()
