"""The LRs of embeddings and of the output over that of the rest: found on short runs, and checked on whole ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from lrctl.contracts.optimizers import OptimizerSettings
from lrctl.contracts.strategy import RunSpec, Work
from lrctl.errors import UsageError
from lrctl_strategies.lookahead.rollouts import Course, Rollouts
from lrctl_strategies.lookahead.short_runs import ShortRuns, chosen, outwards, train

ROLES = ("embedding", "output")
"""Whose LR over that of hidden matrices was seen to be worth much; that of vectors was not."""

UP, FURTHER, DOWN = 4.0, 8.0, 0.5
"""A role's LR is multiplied by the first, and then by the second, or by the third where the first was no better."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A run by which ratios were judged.

    Attributes:
        what: it was trained with, for people.
        steps: of the run.
        taken: it was better than what was best before, by more than the noise; of the whole runs, the one that the
            search goes on with.
    """

    what: str
    steps: int
    lr: float
    score: float
    taken: bool


@dataclass(slots=True)
class Ratios:
    """What was tried of the ratios, and what came out.

    Attributes:
        own: the recipe's optimizer.
        best: the same with the ratios that are the best yet.
        left_out: why roles were not tried.
    """

    own: OptimizerSettings
    best: OptimizerSettings
    trials: list[Trial] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.best != self.own

    @property
    def told(self) -> str:
        """The best ratios, in words."""
        scales = [(role, factor(self.best, role) / factor(self.own, role)) for role in ROLES]
        return ", ".join(f"{role} x {by:g}" for role, by in scales if by != 1) or "as in the recipe"


def ratios_of(run: RunSpec) -> Ratios:
    """Where the search for ratios begins: the recipe's optimizer.

    Raises:
        UsageError: that cannot be told ratios.
    """
    if run.start:
        raise UsageError("--ratios: a run that is under way keeps its optimizer; leave out --ratios, or --from")
    if run.optimizer is None:
        raise UsageError(
            "--ratios: the optimizer is the workload's own, or may be; name one, as in --set optimizer.name=adamw"
        )
    own = run.optimizers[run.optimizer]
    return Ratios(own, own)


def by_role(ratios: Ratios, rollouts: Rollouts, short: ShortRuns, lr: float) -> Work[tuple[Rollouts, ShortRuns, float]]:
    """Find ratios on short runs, and the LR anew with them; they are kept if a whole run is better with them, too.

    Returns what the search goes on with, and the LR that it begins with.
    """
    anew = short
    for role in ROLES:
        anew = yield from try_role(ratios, rollouts, anew, role)
    rollouts.optimizer = ratios.best if ratios.changed else None
    if not ratios.changed:
        return rollouts, short, lr
    anew.decide(rollouts.scoring)
    found = min(chosen(rollouts.run, anew), rollouts.max_lr or math.inf)
    plain = replace(rollouts, optimizer=None, keys={}, tried=[], skipped={})
    if (yield from whole_runs(ratios, (plain, lr), (rollouts, found), short.rise)):
        return rollouts, anew, found
    ratios.best = ratios.own
    return plain, short, lr


def try_role(ratios: Ratios, rollouts: Rollouts, short: ShortRuns, role: str) -> Work[ShortRuns]:
    """Try a role's LR at two factors on short runs at the best LR. Returns those with the best ratios yet.

    Where a ratio was better, the LR is searched anew.
    """
    began, by, best = ratios.best, UP, short
    for _ in range(2):
        rollouts.optimizer, run = scaled(began, role, by), replace(short, scores={}, failed=None)
        try:
            yield from train(rollouts, run, [short.lr], f", {role} x {by:g}")
        except UsageError as error:
            ratios.left_out.append(f"--ratios: {role} is left out: {error}")
            return best
        score = run.scores[short.lr]
        better = rollouts.scoring.worse(best.scores[short.lr], score)
        ratios.trials.append(Trial(f"{role} x {by:g}", short.stop, short.lr, score.mean, better))
        if better:
            best, ratios.best = run, rollouts.optimizer
        by = FURTHER if better else DOWN
    if best is not short:
        rollouts.optimizer = ratios.best
        yield from outwards(rollouts, best, math.sqrt(10), best.lr)
    return best


def whole_runs(ratios: Ratios, plain: tuple[Rollouts, float], scaled: tuple[Rollouts, float], rise: int) -> Work[bool]:
    """Train a whole run without the ratios and one with them, each at its LR. Returns whether these are better."""
    (without, lr), (rollouts, found) = plain, scaled
    yield from without.roll([(f"LR {lr:.3g}, ratios as in the recipe", Course(rise, (lr, lr)))])
    rollouts.spent_steps, rollouts.keep = without.spent_steps, frozenset(without.keys.values())
    yield from rollouts.roll([(f"LR {found:.3g}, {ratios.told}", Course(rise, (found, found)))])
    without.spent_steps, rollouts.keep = rollouts.spent_steps, frozenset()
    before, after = without.best.score, rollouts.best.score
    better = rollouts.scoring.worse(before, after)
    steps = rollouts.run.steps
    ratios.trials.append(Trial("as in the recipe", steps, lr, before.mean, not better))
    ratios.trials.append(Trial(ratios.told, steps, found, after.mean, better))
    return better


def scaled(settings: OptimizerSettings, role: str, by: float) -> OptimizerSettings:
    """The settings with the LR of a role multiplied; one that is raised is without weight decay, which would rise too.

    Unless the recipe says otherwise of its decay.
    """
    scales = {**settings.lr_scale, role: factor(settings, role) * by}
    decays = dict(settings.decay_scale)
    if by > 1 and settings.weight_decay:
        decays.setdefault(role, 0.0)
    return replace(settings, lr_scale=scales, decay_scale=decays)


def factor(settings: OptimizerSettings, role: str) -> float:
    return settings.lr_scale.get(role, 1.0)
