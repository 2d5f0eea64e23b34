"""The built-in search strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl.registry.hookspecs import hookimpl

if TYPE_CHECKING:
    from lrctl.registry.hookspecs import Register


@hookimpl
def register_strategies(register: Register) -> None:
    """Register the strategies."""
    from lrctl_strategies.baseline.params import Baseline
    from lrctl_strategies.baseline.search import baseline
    from lrctl_strategies.closed_form.params import FitClosedForm
    from lrctl_strategies.closed_form.search import fit_closed_form
    from lrctl_strategies.greedy.params import GreedyComparison
    from lrctl_strategies.greedy.search import greedy
    from lrctl_strategies.lookahead.params import Lookahead
    from lrctl_strategies.lookahead.search import lookahead
    from lrctl_strategies.semilocal.params import Local, SemiLocal
    from lrctl_strategies.semilocal.search import local
    from lrctl_strategies.semilocal.tune_eps import semilocal_strategy
    from lrctl_strategies.shape.params import ShapeSearch
    from lrctl_strategies.shape.search import shape

    register(
        semilocal_strategy,
        name="semilocal",
        params=SemiLocal,
        help="semi-local search: per segment, the largest LR whose loss is within eps of the best",
    )
    register(local, name="local", params=Local, help="local search: per segment, the LR with the lowest loss")
    register(
        lookahead,
        name="lookahead",
        params=Lookahead,
        help="lookahead search: an LR is judged by the end of the run, its LR wound down to 0 from there",
    )
    register(
        baseline,
        name="baseline",
        params=Baseline,
        help="tuned baselines: grid search of the base LR, then of each other parameter, of WSD, cosine, linear, ...",
    )
    register(
        fit_closed_form,
        name="fit-closed-form",
        params=FitClosedForm,
        help="fit closed-form families to a schedule that was found; train, stretch and tune them",
    )
    register(
        greedy,
        name="greedy",
        params=GreedyComparison,
        help="GreedyLR against other schedules with the same start, for one or more optimizers and seeds",
    )
    register(
        shape,
        name="shape",
        params=ShapeSearch,
        help="the best shape of a schedule, with the base LR factored out: families drawn at random, ranked, checked",
    )
