"""Searches side by side over seeds, as a Markdown table: held-out loss, cost, time.

    python tests/benchmarks/seeds.py [--recipe quickstart] [--seeds 0 1 2] [--store .lrctl]

What is in the store already is not trained again; its cost is then counted as reused. Not part of the test run.
"""

from __future__ import annotations

import argparse
from typing import Any

import lrctl

SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "semilocal --eps 0.48 --decay": (
        "semilocal",
        {"strategy.semilocal.eps": 0.48, "strategy.semilocal.decay": True},
    ),
    "semilocal --eps 0.48 --decay --eps-unit nats": (
        "semilocal",
        {
            "strategy.semilocal.eps": 0.48,
            "strategy.semilocal.decay": True,
            "strategy.semilocal.eps_unit": "nats",
        },
    ),
    "local": ("local", {}),
}


def cell(document: dict[str, Any]) -> str:
    """One search's numbers."""
    return f"{document['eval_loss']:.4f} ({document['train_loss']:.4f})"


def main() -> None:
    """Run the searches and print the table: test loss, and the smoothed final train loss in brackets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--store", default=".lrctl")
    options = parser.parse_args()
    print("| search | " + " | ".join(f"seed {seed}" for seed in options.seeds) + " | plain runs |", flush=True)
    print("|---" * (len(options.seeds) + 2) + "|", flush=True)
    for title, (strategy, settings) in SEARCHES.items():
        documents = [
            lrctl.search(strategy, options.recipe, settings={**settings, "training.seed": seed}, store=options.store)
            for seed in options.seeds
        ]
        runs = [document["cost"]["baseline_runs"] for document in documents]
        print(
            f"| `{title}` | " + " | ".join(map(cell, documents)) + f" | {min(runs):.1f} to {max(runs):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
