"""The short runs of a contest: each contender's LR, told by runs that learned something."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lrctl.contracts.strategy import Work
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.contest.contenders import OWN_LR, Contender
from lrctl_strategies.contest.learning import flat, learned
from lrctl_strategies.contest.trials import Ended, Trial, Trials
from lrctl_strategies.grids import rounded

FACTOR = math.sqrt(10)
"""By what the LRs of short runs differ."""

LRS = 3
"""How many LRs each contender's short runs begin with."""

MOST = 8
"""How many LRs of one length a contender is tried with at the most."""

HIGHER = 3
"""How many higher LRs are tried where none has learned anything."""

LONGEST = 1 / 3
"""Short runs that learn nothing are made longer, at the most this share of the run."""

LIKE_ADAMW = 0.05
"""An LR of a workload's own optimizer that is higher than this is not one of AdamW's kind."""


def brackets(trials: Trials, field: Sequence[Contender], short: int, reserved: int) -> Work[int]:
    """Try LRs on short runs, outwards until the best lies between others: yours first, where the others then begin.

    Returns the steps of the short runs: where yours learns nothing in them, they are made longer.

    Raises:
        NoValidCandidateError: yours learns nothing in the longest that there is room for.
    """
    yours, *others = field
    waiting = LRS * len(others)
    yield from outwards(trials, {yours: first(yours, None)}, short, reserved, waiting)
    while (lrs := flat(trials, trials.of(yours, short))) and (longer := lengthened(trials, field, short, reserved)):
        short = longer
        yield from outwards(trials, {yours: tuple(lrs[-LRS:])}, short, reserved, waiting)
    tried = trials.of(yours, short)
    if trials.best(yours, short) and not learned(trials, tried):
        raise NoValidCandidateError(nothing(trials, tried, short))
    yield from outwards(
        trials, {each: first(each, like_adamw(trials, yours, short)) for each in others}, short, reserved
    )
    return short


def like_adamw(trials: Trials, yours: Contender, short: int) -> float | None:
    """The best LR of an optimizer such as AdamW, if yours tells it."""
    best = trials.best(yours, short)
    if best is None or yours.optimizer in OWN_LR or (yours.settings is None and best.trial.lr > LIKE_ADAMW):
        return None
    return best.trial.lr


def lengthened(trials: Trials, field: Sequence[Contender], short: int, reserved: int) -> int | None:
    """The steps of the next longer short runs, twice as long; None where the run or the budget has no room for them."""
    longer = min(2 * short, round(LONGEST * trials.steps))
    return longer if longer > short and trials.affords(LRS * len(field), longer, reserved) else None


def nothing(trials: Trials, tried: Mapping[float, Ended], short: int) -> str:
    return (
        f"yours learned nothing in short runs of {short} of {trials.steps} steps, at LRs of {min(tried):.3g} to "
        f"{max(tried):.3g}: none ended better than the untrained model ({trials.untrained.mean:.4g}) by more than the "
        "noise, so there is nothing to judge by; make them longer by --short-run 0.3 with a larger --budget, raise "
        "--steps, or name the LR that yours begins with, as in --contender 'yours lr=0.1'"
    )


def first(contender: Contender, adamw: float | None) -> tuple[float, ...]:
    lr = contender.first_lr(adamw)
    return tuple(rounded(lr * FACTOR ** (n - LRS // 2)) for n in range(LRS))


def outwards(
    trials: Trials, ask: Mapping[Contender, tuple[float, ...]], short: int, reserved: int, waiting: int = 0
) -> Work[None]:
    """Short runs of these contenders, which leave room for those of others that are waiting."""
    while ask:
        names = ", ".join(each.name for each in ask)
        wanted = [Trial(each, short, lr, trials.seed) for each, lrs in ask.items() for lr in lrs]
        yield from trials.train(f"short runs of {short} steps: {names}", wanted)
        tried = {each: trials.of(each, short) for each in ask}
        further = [
            (each, lr) for each in ask if len(tried[each]) < MOST and (lr := beyond(trials, tried[each])) is not None
        ]
        while further and not trials.affords(len(further) + waiting, short, reserved):
            further.pop()
        ask = {each: (lr,) for each, lr in further}


def beyond(trials: Trials, tried: Mapping[float, Ended]) -> float | None:
    """The next LR outwards from the best; None if that lies between others.

    Where none has learned anything there is no best one: a few higher ones, since these learn faster, then lower ones.
    """
    lrs = sorted(tried)
    if level := flat(trials, tried):
        higher = level[-1] == lrs[-1] and len(lrs) < LRS + HIGHER
        return rounded(lrs[-1] * FACTOR if higher else lrs[0] / FACTOR)
    best = min(lrs, key=lambda lr: tried[lr].score.mean)
    if best == lrs[0] or not math.isfinite(tried[best].score.mean):
        return rounded(lrs[0] / FACTOR)
    return rounded(lrs[-1] * FACTOR) if best == lrs[-1] else None
