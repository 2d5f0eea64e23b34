"""Tuned baselines: coordinate-wise grid search of a family's parameters, as in the paper's Appendix B.1.

First the base LR with everything else at its default (warmup and decay at 10 %), then, at the best base LR, one
parameter after the other. All families go through this side by side, so that their runs can share what is equal.
"""

from __future__ import annotations

from dataclasses import replace

from lrctl.contracts.strategy import RunSpec, Search
from lrctl_strategies.baseline.params import Baseline
from lrctl_strategies.tuning.side_by_side import SideBySide
from lrctl_strategies.tuning.tuning import check_own_grids, start

NEXT = "lrctl compare with a search's run, over a few seeds; lrctl export RUN --to torch for your own project"


def baseline(p: Baseline, run: RunSpec) -> Search:
    """Tune each family, and answer with the one that ended best."""
    shapes = [start(family, run.steps, p.grid, p.objective, p.axis) for family in dict.fromkeys(p.family)]
    check_own_grids(p.axis, shapes)
    return replace((yield from SideBySide(shapes, run.steps).search(p.objective, p.refine)), next=NEXT)
