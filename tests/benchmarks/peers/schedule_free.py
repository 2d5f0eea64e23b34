"""AdamW without a schedule (Defazio et al. 2024, PyPI `schedulefree`), its LR tuned.

As its README asks: warmup, an LR from where a scheduled one would be to ten times that, weights switched by
`train()` and `eval()`.
"""

from __future__ import annotations

from schedulefree import AdamWScheduleFree

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.grid import Plan, tune
from lrctl_strategies.grids import GEOMETRIC

WARMUP = 0.1
"""Share of the run, as the tuned families begin with."""


def run(contest: Contest) -> Outcome:
    """Tune the LR."""
    kept = {name: getattr(contest.spec.optimizer, name) for name in ("betas", "eps", "weight_decay")}
    warmup = round(WARMUP * contest.steps)

    def plan(lr: float) -> Plan:
        return lambda groups: AdamWScheduleFree(groups, lr=lr, warmup_steps=warmup, **kept), lambda _: lr

    return tune(contest, "lr", GEOMETRIC[1:4], plan)
