"""What exact stopping saves: each search with and without it, in stores of their own, and the same found by both.

    python tests/benchmarks/stopping.py [--steps 150] [--store DIR]

Steps are counted, not seconds. It took 14 minutes on two cores beside other work. Not part of the test run.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import lrctl

SAME = ("schedule", "train_loss", "validation_loss", "test_loss")

PROGRESS: dict[str, Any] = {"eps_unit": "progress"}

SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "eps 0.48, decay": ("semilocal", PROGRESS | {"eps": 0.48, "decay": True}),
    "eps 0.1": ("semilocal", PROGRESS | {"eps": 0.1}),
    "eps 1.5": ("semilocal", PROGRESS | {"eps": 1.5}),
    "eps 0.05 nats": ("semilocal", {"eps": 0.05, "eps_unit": "nats"}),
    "local": ("local", {}),
    "lean, eps 0.48, decay": ("semilocal", PROGRESS | {"eps": 0.48, "decay": True, "lean": True}),
}

PANEL = (
    *(("quickstart", 0, name) for name in ("eps 0.48, decay", "eps 0.05 nats", "local")),
    *(("images", 0, name) for name in ("eps 0.48, decay", "eps 0.1", "eps 0.05 nats", "local")),
    ("images", 1, "lean, eps 0.48, decay"),
    *(("smoke", seed, name) for seed in (0, 1) for name in SEARCHES),
)


def search(recipe: str, seed: int, name: str, steps: int, store: Path, *, stop: bool) -> dict[str, Any]:
    """The result document of one search in a store of its own."""
    command, params = SEARCHES[name]
    settings = {f"strategy.{command}.{key}": value for key, value in params.items()}
    settings |= {"training.seed": seed, "training.steps": steps, "training.stop_early": stop, "executor.name": "serial"}
    place = store / f"{recipe}-{seed}-{name.replace(' ', '_')}-{'on' if stop else 'off'}"
    return lrctl.search(command, recipe, settings=settings, store=place)


def trained(document: dict[str, Any]) -> tuple[int, int, int]:
    """The steps that a search trained, the jobs it tried, and how many of them were stopped."""
    statuses = [c["status"] for segment in document["segments"] for c in segment["candidates"]]
    tried = [status for status in statuses if status != "skipped"]
    return document["cost"]["steps_trained"], len(tried), tried.count("stopped")


def main() -> None:
    """Run every search twice and print what was saved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--store", type=Path, default=None)
    options = parser.parse_args()
    store = options.store or Path(tempfile.mkdtemp(prefix="stopping-"))
    totals: dict[str, list[int]] = {}
    print("| recipe | seed | search | steps without | with | saved | candidates stopped |")
    print("|---|---|---|---|---|---|---|")
    for recipe, seed, name in PANEL:
        whole, less = (search(recipe, seed, name, options.steps, store, stop=stop) for stop in (False, True))
        chosen = [[segment["chosen"] for segment in document["segments"]] for document in (whole, less)]
        assert chosen[0] == chosen[1], f"{recipe}, seed {seed}, {name}: another choice: {chosen}"
        assert all(whole[key] == less[key] for key in SAME), f"{recipe}, seed {seed}, {name}: another result"
        (before, tried, _), (after, _, stopped) = trained(whole), trained(less)
        sums = totals.setdefault(recipe, [0, 0])
        totals[recipe] = [sums[0] + before, sums[1] + after]
        share = f"{1 - after / before:.1%}"
        print(f"| {recipe} | {seed} | {name} | {before} | {after} | {share} | {stopped} of {tried} |", flush=True)
    for recipe, (before, after) in totals.items():
        print(f"{recipe}: {before} steps without, {after} with: {1 - after / before:.1%} saved")
    before, after = (sum(sums[i] for sums in totals.values()) for i in (0, 1))
    print(
        f"all {len(PANEL)} searches, every choice and loss the same: {before}, {after}: {1 - after / before:.1%} saved"
    )


if __name__ == "__main__":
    main()
