"""The built-in search strategies."""

from __future__ import annotations

from lrctl.registry.hookspecs import Register, hookimpl


@hookimpl
def register_strategies(register: Register) -> None:
    """Register the strategies; each is imported when it is first used."""
    register(
        "lrctl_strategies.lookahead.search:lookahead",
        name="lookahead",
        params="lrctl_strategies.lookahead.params:Lookahead",
        example="lrctl lookahead --budget 8",
        help="lookahead search: an LR is judged by the end of the run, its LR wound down to 0 from there",
        goes_on=True,
    )
    register(
        "lrctl_strategies.transfer.search:transfer",
        name="transfer",
        params="lrctl_strategies.transfer.params:Transfer",
        example="lrctl transfer --steps 9600",
        help="the peak LR of a long run, to within a factor of about 2, for half to one and a half of such a run",
    )
    register(
        "lrctl_strategies.semilocal.tune_eps:semilocal_strategy",
        name="semilocal",
        params="lrctl_strategies.semilocal.params:SemiLocal",
        example="lrctl semilocal --eps 0.48 --decay",
        help="semi-local search: per segment, the largest LR whose loss is within eps of the best",
        goes_on=True,
    )
    register(
        "lrctl_strategies.semilocal.search:local",
        name="local",
        params="lrctl_strategies.semilocal.params:Local",
        example="lrctl local --segments 10",
        help="local search: per segment, the LR with the lowest loss",
        goes_on=True,
    )
    register(
        "lrctl_strategies.baseline.search:baseline",
        name="baseline",
        params="lrctl_strategies.baseline.params:Baseline",
        example="lrctl baseline --family wsd --family cosine",
        help="tuned baselines: grid search of the base LR, then of each other parameter, of WSD, cosine, linear, ...",
        reference=True,
    )
    register(
        "lrctl_strategies.closed_form.search:fit_closed_form",
        name="fit-closed-form",
        params="lrctl_strategies.closed_form.params:FitClosedForm",
        example="lrctl fit-closed-form latest --tune",
        help="fit closed-form families to a schedule that was found; train, stretch and tune them",
    )
    register(
        "lrctl_strategies.greedy.search:greedy",
        name="greedy",
        params="lrctl_strategies.greedy.params:GreedyComparison",
        example="lrctl greedy --optimizer adamw --against linear --seeds 0,1,2",
        help="GreedyLR against other schedules with the same start, for one or more optimizers and seeds",
    )
    register(
        "lrctl_strategies.shape.search:shape",
        name="shape",
        params="lrctl_strategies.shape.params:ShapeSearch",
        example="lrctl shape --shapes 20 --family cosine",
        help="the best shape of a schedule, with the base LR factored out: families drawn at random, ranked, checked",
    )
    register(
        "lrctl_strategies.contest.search:contest",
        name="contest",
        params="lrctl_strategies.contest.params:Contest",
        example="lrctl contest --contender muon --contender schedule-free",
        help="a contest of optimizers: what each is worth against yours, by whole runs with tuned LRs and fresh seeds",
    )
