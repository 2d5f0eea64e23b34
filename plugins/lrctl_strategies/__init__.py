"""The built-in search strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrctl import hookimpl

if TYPE_CHECKING:
    from lrctl.hookspecs import Register


@hookimpl
def register_strategies(register: Register) -> None:
    """Register the strategies."""
    from lrctl_strategies.baseline import Baseline, baseline
    from lrctl_strategies.closed_form import FitClosedForm, fit_closed_form
    from lrctl_strategies.greedy import GreedyComparison, greedy
    from lrctl_strategies.lookahead import Lookahead, lookahead
    from lrctl_strategies.semilocal import Local, SemiLocal, local
    from lrctl_strategies.shape import ShapeSearch, shape
    from lrctl_strategies.tune_eps import tunable

    register(
        tunable,
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
