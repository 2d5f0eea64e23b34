"""Prodigy (Mishchenko and Defazio 2023, PyPI `prodigyopt`), which estimates the LR itself.

As its README asks: the LR stays at 1, `d_coef` is tuned, and there is no schedule, or cosine annealing to 0.
"""

from __future__ import annotations

from prodigyopt import Prodigy

from benchmarks.peers.contest import Contest, Outcome
from benchmarks.peers.grid import Plan, tune
from lrctl.registry.registry import registry

START = (1.0, 3.33, 0.3)
"""Values of `d_coef` that are tried first; 1 is the default."""


def run(contest: Contest, cosine: bool) -> Outcome:
    """Tune `d_coef`."""
    kept = {name: getattr(contest.spec.optimizer, name) for name in ("betas", "eps", "weight_decay")}
    family = registry().get("schedule", "cosine" if cosine else "constant").target
    schedule = family(steps=contest.steps, peak_lr=1.0, **({"warmup": 0.0} if cosine else {}))

    def plan(d_coef: float) -> Plan:
        return lambda groups: Prodigy(groups, d_coef=d_coef, **kept), schedule

    return tune(contest, "d_coef", START, plan)
