"""The stages of a contest after the short runs: whole runs, whole runs with other LRs, fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.contracts.strategy import Work
from lrctl_strategies.contest.contenders import Contender
from lrctl_strategies.contest.learning import flat, gain, learned
from lrctl_strategies.contest.short_runs import MOST
from lrctl_strategies.contest.trials import Trial, Trials
from lrctl_strategies.grids import rounded
from lrctl_strategies.lookahead.parabola import through

SHRINK = 0.1
"""The best LR of a whole run with plain Adam or AdamW is taken to be that of a short one times (its share) ** this.
That of others was not seen to fall with the length of the run."""

LONG = 2000
"""From so many steps on a contender that gains late has a whole run, whatever short runs say of it. On the quickstart
recipe schedule-free was the fourth of five after 192 of 2,400 steps, and the first at the end."""


def whole_lr(trials: Trials, contender: Contender, short: int) -> float:
    """The LR that a contender's whole runs begin with."""
    tried = trials.of(contender, short)
    if lrs := flat(trials, tried):
        return lrs[-1]  # higher LRs learn faster
    losses = {lr: run.score.mean for lr, run in tried.items()}
    falls = contender.settings is None or (contender.optimizer in ("adam", "adamw") and not contender.settings.lr_scale)
    return rounded(through(losses).vertex * ((short / trials.steps) ** SHRINK if falls else 1.0))


def ranked(trials: Trials, field: Sequence[Contender], steps: int) -> list[Contender]:
    """Those with runs of so many steps that ended well, best first."""
    best = {each: run.score.mean for each in field if (run := trials.best(each, steps))}
    return sorted(best, key=lambda each: best[each])


def promising(trials: Trials, field: Sequence[Contender], short: int, margin: float) -> list[Contender]:
    """Those, best first, whose short runs are not worse than the best of all by more than the margin.

    And those that learned nothing there, of which short runs do not tell.
    """
    order = ranked(trials, field, short)
    runs = {each: run for each in order if (run := trials.best(each, short))}
    if not runs:
        return []
    best = runs[order[0]]
    limit = best.score.mean + margin * max(0.0, gain(trials, best))
    return [
        each for each, run in runs.items() if run.score.mean <= limit or not learned(trials, trials.of(each, short))
    ]


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
    finalists = chosen(able, count, trials.steps)
    names = ", ".join(each.name for each in finalists)
    wanted = [Trial(each, trials.steps, whole_lr(trials, each, short), trials.seed) for each in finalists]
    yield from trials.train(f"whole runs: {names}", wanted)
    return finalists


def chosen(able: Sequence[Contender], count: int, steps: int) -> list[Contender]:
    """The first so many; of long runs, one that gains late is among two or more."""
    first, late = list(able[:count]), [each for each in able if each.late]
    if steps >= LONG and count > 1 and late and late[0] not in first:
        first[-1] = late[0]
    return first


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
