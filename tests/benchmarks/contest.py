"""A contest beside schedule-free AdamW whose LR and warmup are tuned on whole runs, paired over seeds 0, 1, 2.

    python tests/benchmarks/contest.py --steps 2400 [--set workload.tokenizer=bytes] [--store DIR]

Prints the winner, both mean test losses and costs, and the difference with its 95 % t interval.
"""

from __future__ import annotations

import argparse
from statistics import fmean
from typing import Any

import lrctl
from lrctl.analysis.statistics import paired
from lrctl.recipe.parse import parse_setting

FREE: dict[str, Any] = {
    "optimizer.name": "schedule-free",
    "strategy.baseline.family": ["constant-with-warmup"],
}
TUNED: dict[str, Any] = {
    "strategy.baseline.grid": [3.33e-3, 1e-2],
    "strategy.baseline.axis": ["warmup=0.05,0.1,0.25"],
    "strategy.baseline.refine": 1,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the recipe's")
    parser.add_argument("--store", default=".lrctl")
    given = parser.parse_args()
    own = {"training.steps": given.steps, **dict(map(parse_setting, given.set))}

    def search(command: str, *settings: dict[str, Any]) -> dict[str, Any]:
        return lrctl.search(
            command,
            "quickstart",
            settings={k: v for each in (own, *settings) for k, v in each.items()},
            store=given.store,
        )

    contest, tuned = search("contest"), search("baseline", FREE, TUNED)
    best = next(each for each in contest["contenders"] if each["name"] == contest["winner"])
    answer = {r["seed"]: r["test_loss"] for r in best["runs"] if (r["steps"], r["lr"]) == (given.steps, best["lr"])}
    params = tuned["schedule"]["params"]
    one = {
        "strategy.baseline.grid": [params["peak_lr"]],
        "strategy.baseline.axis": [f"warmup={params['warmup']:g}"],
    }
    free = {0: tuned["test_loss"]} | {
        s: search("baseline", FREE, one, {"training.seed": s})["test_loss"] for s in (1, 2)
    }
    differences = [answer[seed] - free[seed] for seed in sorted(answer.keys() & free.keys())]
    interval, _ = paired(differences)
    told = f"({interval[0]:+.4f} to {interval[1]:+.4f})" if interval else ""
    print(f"{contest['winner']}: {fmean(answer.values()):.4f}, {contest['full_runs']:.1f} full runs")
    print(f"schedule-free, {params}: {fmean(free.values()):.4f}, {tuned['cost']['full_runs']:.1f} full runs")
    print(f"difference: {fmean(differences):+.4f} {told}")


if __name__ == "__main__":
    main()
