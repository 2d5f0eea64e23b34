"""How often `lrctl shape --halving` finds the shapes that the whole search finds, and what it saves.

    python tests/benchmarks/halving.py

Least squares with 64 unknowns, 100 steps, 9 shapes of each of the eight families, 4 base LRs, 3 seeds; both searches
with three different draws. For each family and draw it asks whether the same shape came out best and, where not, by how
much its loss with fresh seeds is higher. The store is a temporary folder.
"""

from __future__ import annotations

import tempfile
from statistics import fmean, median
from typing import Any

import lrctl

DRAWS = 3

SETTINGS = {
    "workload.dim": 64,
    "training.steps": 100,
    "strategy.shape.shapes": 9,
    "strategy.shape.grid": [0.8, 0.4, 0.2, 0.1],
    "strategy.shape.score_seeds": 3,
    "strategy.shape.top": 1,
    "strategy.shape.fresh_seeds": 5,
    "strategy.shape.sweep": 0,
    "strategy.shape.against": [],
}


def families(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The best shape of each family, by its name."""
    return {each["name"]: each for each in document["settings"][0]["families"]}


def main() -> None:
    """Run both searches and print how they agree."""
    same, regrets, runs = [], [], {True: 0, False: 0}
    with tempfile.TemporaryDirectory() as store:
        for draw in range(DRAWS):
            found = {}
            for halving in (False, True):
                own = {"strategy.shape.halving": halving, "strategy.shape.draw_seed": draw}
                document = lrctl.search("shape", recipe="smoke", settings=SETTINGS | own, store=store)
                runs[halving] += document["settings"][0]["runs"]
                found[halving] = families(document)
            for name, whole in found[False].items():
                halved = found[True][name]
                same.append(whole["searched"] == halved["searched"])
                regrets.append(halved["loss"] / whole["loss"] - 1)
            print(f"draw {draw}: {sum(same[-8:])} of {len(found[True])} families have the same best shape", flush=True)
    print(f"runs: {runs[True]} instead of {runs[False]}, {runs[True] / runs[False]:.0%}")
    print(f"same best shape: {sum(same)} of {len(same)}")
    print(f"loss with fresh seeds, over the whole search's: median {median(regrets):+.1%}, mean {fmean(regrets):+.1%}")
    print(f"worst {max(regrets):+.1%}, best {min(regrets):+.1%}")


if __name__ == "__main__":
    main()
