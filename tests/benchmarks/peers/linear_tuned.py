"""What most people would do with so few runs: a linear decay to 0 after 10 % warmup, its base LR tuned."""

from __future__ import annotations

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.grid import Plan, tune
from lrctl.registry.registry import registry
from lrctl_strategies.grids import GEOMETRIC


def run(contest: Contest) -> Outcome:
    """Tune the base LR."""
    family = registry().get("schedule", "linear").target

    def plan(lr: float) -> Plan:
        return None, family(steps=contest.steps, peak_lr=lr)

    return tune(contest, "peak_lr", GEOMETRIC[2:5], plan)
