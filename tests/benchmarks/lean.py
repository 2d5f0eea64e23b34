"""How often a lean search chooses as the whole one, on searches it was not designed with, and what it costs.

    python tests/benchmarks/lean.py [--steps 150] [--store DIR] [--only TEXT]

Each segment of a whole search is one decision: it is made again by the rule of lean search from the losses recorded,
given the same checkpoint. Beside that every search is run lean, where one other choice leads to another path. It took
23 minutes on two cores beside other work; Fashion-MNIST wants its Debian package. Not part of the test run.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lrctl
from lrctl.contracts.strategy import Tolerance
from lrctl_strategies.semilocal.lean import first_of, next_of
from lrctl_strategies.semilocal.params import SemiLocal
from lrctl_strategies.semilocal.search import eps_at

TENTH = {"eps": 0.1, "eps_unit": "progress"}
HALF = {"eps": 0.48, "decay": True, "eps_unit": "progress"}
NATS = {"eps": 0.05, "eps_unit": "nats"}
LOCAL = {"eps": 0.0, "eps_unit": "nats"}

BYTES = {"workload.tokenizer": "bytes"}
NOISY = {"workload.noise": 0.5, "strategy.semilocal.segments": 10, "strategy.semilocal.grid_size": 10}

PANEL: tuple[tuple[str, str, dict[str, Any], int, float, dict[str, Any]], ...] = (
    *(("text, bytes", "quickstart", BYTES, seed, 1, p) for seed, p in ((0, HALF), (1, TENTH), (2, NATS), (3, LOCAL))),
    *(("text, 512 tokens", "quickstart", {}, seed, 1, p) for seed, p in ((1, HALF), (2, TENTH), (3, NATS))),
    *(("digits", "images", {}, seed, 1, p) for seed, p in ((1, HALF), (2, TENTH), (3, NATS), (4, LOCAL))),
    *(("digits, twice as long", "images", {}, seed, 2, p) for seed, p in ((5, HALF), (6, TENTH))),
    *(("fashion-mnist", "fashion-mnist", {}, seed, 1, p) for seed, p in ((0, HALF), (1, TENTH), (2, NATS))),
    *(
        ("regression, noisy", "smoke", NOISY, s, 1, p)
        for s, p in ((1, HALF), (2, TENTH), (3, NATS), (4, LOCAL), (5, HALF))
    ),
)
"""Title, recipe, settings, seed, steps in units of --steps, parameters of the search."""


OTHER_EPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Decision:
    """A segment as a whole search met it: each candidate's LR and loss, and which was chosen."""

    k: int
    start: float
    lrs: list[float]
    losses: list[float]
    tolerance: Tolerance
    frozen: float | None
    chosen: int

    def limit(self, best: float) -> float:
        """The highest loss that may be chosen."""
        return self.tolerance.limit(best, self.frozen)

    def under(self, eps: float) -> Decision:
        """The same losses judged with another eps, in the same unit."""
        other = replace(self, tolerance=replace(self.tolerance, eps=eps))
        limit = other.limit(min(self.losses))
        return replace(other, chosen=max(i for i, loss in enumerate(self.losses) if loss <= limit))

    def lean(self) -> tuple[int, int]:
        """What lean search chooses, and how many jobs it takes."""
        tried: dict[int, float] = {}
        wanted = first_of(self.lrs, self.start)
        while wanted:
            tried |= {i: self.losses[i] for i in wanted}
            wanted = next_of(tried, len(self.lrs), self.limit)
        limit = self.limit(min(tried.values()))
        return max(i for i, loss in tried.items() if loss <= limit), len(tried) + (self.frozen is not None)

    def told(self, pick: int) -> str:
        """Another choice in words."""
        losses = f"loss {self.losses[pick]:.4f} instead of {self.losses[self.chosen]:.4f}"
        limit = f"limit {self.limit(min(self.losses)):.4f}"
        return f"segment {self.k}: place {pick} instead of {self.chosen} of {len(self.lrs)}, {losses}, {limit}"

    @property
    def jobs(self) -> int:
        """How many jobs the whole search took."""
        return len(self.lrs) + (self.frozen is not None)


def decisions(document: dict[str, Any], params: dict[str, Any]) -> Iterator[Decision]:
    """Every segment of a whole search."""
    p = SemiLocal(**params, segments=len(document["segments"]))
    for segment in document["segments"]:
        tried = segment["candidates"]
        lrs = [c["lr"] for c in tried]
        losses = [math.inf if c["mean_loss"] is None else c["mean_loss"] for c in tried]
        k, lr = segment["k"], segment["lr_start"]
        tolerance = Tolerance(eps_at(p, k, lr), share=p.eps_unit == "progress")
        yield Decision(k, lr, lrs, losses, tolerance, segment["frozen_loss"], lrs.index(segment["chosen"]))


def search(entry: Any, steps: int, store: Path, *, lean: bool) -> dict[str, Any]:
    """The result of one search: whole, with every loss, or as a user has it who asks for a lean one."""
    title, recipe, settings, seed, times, params = entry
    settings = {**settings, **{f"strategy.semilocal.{name}": value for name, value in params.items()}}
    settings |= {"training.seed": seed, "training.steps": round(times * steps), "executor.name": "serial"}
    settings |= {"strategy.semilocal.lean": True} if lean else {"training.stop_early": False}
    place = store / f"{title}-{seed}-{'lean' if lean else 'whole'}".replace(" ", "_")
    return lrctl.search("semilocal", recipe, settings=settings, store=place)


def name_of(params: dict[str, Any]) -> str:
    """The search in short."""
    unit = "" if params["eps_unit"] == "progress" else " nats"
    return "local" if not params["eps"] else f"{params['eps']:g}{unit}" + ", decay" * bool(params.get("decay"))


def main() -> None:
    """Run the panel, and print the decisions and the lean searches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--store", type=Path, default=None)
    parser.add_argument("--only", default="", help="entries whose title contains this")
    options = parser.parse_args()
    store = options.store or Path(tempfile.mkdtemp(prefix="lean-"))
    sums: dict[str, list[int]] = {}
    print("| workload | seed | eps | decisions alike | validation, whole | lean | full runs, whole | lean |")
    print("|---|---|---|---|---|---|---|---|")
    told: list[str] = []
    others: list[tuple[int, Decision]] = []
    for entry in (entry for entry in PANEL if options.only in entry[0]):
        title, _, _, seed, _, params = entry
        searched = partial(search, entry, options.steps, store)
        whole, lean = searched(lean=False), searched(lean=True)
        made = [(decision, *decision.lean()) for decision in decisions(whole, params)]
        alike = sum(pick == decision.chosen for decision, pick, _ in made)
        for key in (title, "all"):
            counts = (len(made), alike, sum(jobs for _, _, jobs in made), sum(d.jobs for d, _, _ in made))
            sums[key] = [before + more for before, more in zip(sums.get(key, [0] * 4), counts, strict=True)]
        where = f"{title}, seed {seed}, {name_of(params)}"
        told += [f"{where}, {decision.told(pick)}" for decision, pick, _ in made if pick != decision.chosen]
        others += [(d.under(eps).lean()[0], d.under(eps)) for d, _, _ in made if d.tolerance.eps for eps in OTHER_EPS]
        losses = " | ".join(f"{document['validation_loss']:.4f}" for document in (whole, lean))
        runs = " | ".join(f"{document['cost']['full_runs']:.1f}" for document in (whole, lean))
        print(f"| {title} | {seed} | {name_of(params)} | {alike} of {len(made)} | {losses} | {runs} |", flush=True)
    print("\n| workload | decisions | alike | jobs per decision | of |\n|---|---|---|---|---|")
    for key, (count, alike, jobs, all_jobs) in sums.items():
        print(f"| {key} | {count} | {alike} ({alike / count:.1%}) | {jobs / count:.1f} | {all_jobs / count:.1f} |")
    alike = sum(pick == decision.chosen for pick, decision in others)
    print(f"\nThe same losses with eps {OTHER_EPS} in the search's unit: {alike} of {len(others)} alike")
    print("\n".join(told))


if __name__ == "__main__":
    main()
