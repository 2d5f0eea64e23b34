"""The stages of a contest: short runs, whole runs, whole runs with other LRs, fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lrctl.contracts.strategy import Work
from lrctl_strategies.contest.contenders import OWN_LR, Contender
from lrctl_strategies.contest.trials import Ended, Trial, Trials
from lrctl_strategies.grids import rounded
from lrctl_strategies.lookahead.parabola import through

FACTOR = math.sqrt(10)
"""By what the LRs of short runs differ."""

LRS = 3
"""How many LRs each contender's short runs begin with."""

MOST = 8
"""How many LRs of one length a contender is tried with at the most."""

SHRINK = 0.1
"""The best LR of a whole run with plain Adam or AdamW is taken to be that of a short one times (its share) ** this.
That of others was not seen to fall with the length of the run."""


def brackets(trials: Trials, field: Sequence[Contender], short: int, reserved: int) -> Work[None]:
    """Try LRs on short runs, outwards until the best lies between others: yours first, where the others then begin."""
    yours, *others = field
    yield from outwards(trials, {yours: first(yours, None)}, short, reserved)
    adamw = trials.best(yours, short)
    known = adamw.trial.lr if adamw and yours.optimizer not in OWN_LR else None
    yield from outwards(trials, {each: first(each, known) for each in others}, short, reserved)


def first(contender: Contender, adamw: float | None) -> tuple[float, ...]:
    lr = contender.first_lr(adamw)
    return tuple(rounded(lr * FACTOR ** (n - LRS // 2)) for n in range(LRS))


def outwards(trials: Trials, ask: Mapping[Contender, tuple[float, ...]], short: int, reserved: int) -> Work[None]:
    while ask:
        names = ", ".join(each.name for each in ask)
        wanted = [Trial(each, short, lr, trials.seed) for each, lrs in ask.items() for lr in lrs]
        yield from trials.train(f"short runs of {short} steps: {names}", wanted)
        tried = {each: trials.of(each, short) for each in ask}
        further = [(each, lr) for each in ask if len(tried[each]) < MOST and (lr := beyond(tried[each])) is not None]
        while further and not trials.affords(len(further), short, reserved):
            further.pop()
        ask = {each: (lr,) for each, lr in further}


def beyond(tried: Mapping[float, Ended]) -> float | None:
    """The next LR outwards from the best; None if that lies between others."""
    lrs = sorted(tried)
    best = min(lrs, key=lambda lr: tried[lr].score.mean)
    if best == lrs[0] or not math.isfinite(tried[best].score.mean):
        return rounded(lrs[0] / FACTOR)
    return rounded(lrs[-1] * FACTOR) if best == lrs[-1] else None


def whole_lr(trials: Trials, contender: Contender, short: int) -> float:
    """The LR that a contender's whole runs begin with."""
    losses = {lr: run.score.mean for lr, run in trials.of(contender, short).items()}
    falls = contender.settings is None or (contender.optimizer in ("adam", "adamw") and not contender.settings.lr_scale)
    return rounded(through(losses).vertex * ((short / trials.steps) ** SHRINK if falls else 1.0))


def ranked(trials: Trials, field: Sequence[Contender], steps: int) -> list[Contender]:
    """Those with runs of so many steps that ended well, best first."""
    best = {each: run.score.mean for each in field if (run := trials.best(each, steps))}
    return sorted(best, key=lambda each: best[each])


def promising(trials: Trials, field: Sequence[Contender], short: int, margin: float) -> list[Contender]:
    """Those, best first, whose short runs are not worse than the best of all by more than the margin."""
    order = ranked(trials, field, short)
    if not order:
        return []
    losses = [run.score.mean for each in order if (run := trials.best(each, short))]
    limit = losses[0] + margin * max(0.0, trials.untrained.mean - losses[0])
    return [each for each, loss in zip(order, losses, strict=True) if loss <= limit]


def next_lr(trials: Trials, contender: Contender, short: int, ratio: float) -> float | None:
    """The next LR for a whole run of a contender: the first, else one beside its best; None if both are known."""
    tried = trials.of(contender, trials.steps)
    best = trials.best(contender, trials.steps)
    if len(tried) >= MOST:
        return None
    if not tried:
        return whole_lr(trials, contender, short)
    if best is None:
        return rounded(min(tried) / ratio)
    lr = best.trial.lr
    beside = [rounded(lr / ratio), rounded(lr * ratio)]
    return next((each for each in beside if not any(alike(each, other) for other in tried)), None)


def alike(lr: float, other: float) -> bool:
    return abs(math.log(lr / other)) < math.log(1.1)


def whole_runs(
    trials: Trials, able: Sequence[Contender], short: int, most: int, reserved: int
) -> Work[list[Contender]]:
    """A whole run of as many of them as there is room for. Returns these."""
    count = 0
    while count < min(most, len(able)) and trials.affords(count + 1, trials.steps, reserved):
        count += 1
    finalists = list(able[:count])
    names = ", ".join(each.name for each in finalists)
    wanted = [Trial(each, trials.steps, whole_lr(trials, each, short), trials.seed) for each in finalists]
    yield from trials.train(f"whole runs: {names}", wanted)
    return finalists


def refine(trials: Trials, rivals: Sequence[Contender], short: int, ratio: float, reserved: int) -> Work[None]:
    """Whole runs with other LRs, for each rival in turn, so that none is tuned much more than the other."""
    waiting = list(rivals)
    while waiting and trials.affords(1, trials.steps, reserved):
        contender = waiting.pop(0)
        if (lr := next_lr(trials, contender, short, ratio)) is not None:
            told = f"{contender.name}: a whole run with LR {lr:.3g}"
            yield from trials.train(told, [Trial(contender, trials.steps, lr, trials.seed)], kept(trials, rivals))
            waiting.append(contender)


def fresh(trials: Trials, rivals: Sequence[Contender], short: int, seeds: Sequence[int]) -> Work[None]:
    """A whole run of each rival with each of these seeds, which have had no part in a choice."""
    for seed in seeds:
        wanted = [Trial(each, trials.steps, settled_lr(trials, each, short), seed) for each in rivals]
        names = " and ".join(each.name for each in rivals)
        yield from trials.train(f"seed {seed}: {names}", wanted, kept(trials, rivals))


def settled_lr(trials: Trials, contender: Contender, short: int) -> float:
    """The LR that whole runs chose or, where there was none, that short ones did."""
    best = trials.best(contender, trials.steps)
    return best.trial.lr if best else whole_lr(trials, contender, short)


def kept(trials: Trials, rivals: Sequence[Contender]) -> frozenset[str]:
    """The runs that may be handed over."""
    return frozenset(run.key for each in rivals if (run := trials.handed(each)))
