"""What a lookahead search answers with: the best rollout, and what was tried on the way to it."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.result import FORWARD
from lrctl.contracts.strategy import SearchResult
from lrctl.contracts.table import Table
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.lookahead.moves import noise
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.ratios import Ratios
from lrctl_strategies.lookahead.rollouts import Rollout, Rollouts, digits
from lrctl_strategies.lookahead.scoring import batches
from lrctl_strategies.lookahead.short_runs import ShortRuns
from lrctl_strategies.optimizer_table import optimizer_table

OFF = 0.002
"""The share of what training gains, by which a run may be off the parabola through its neighbours without a note."""

NEXT = (
    "lrctl compare with the run of lrctl baseline on the same recipe, over a few seeds; for what was not tried {}lrctl "
    "contest (other optimizers), worth 0.11 and 0.22 nats on two texts"
)
RATIOS = "lrctl lookahead --ratios (LRs by role) or "


def answer(p: Lookahead, rollouts: Rollouts, short: ShortRuns, ratios: Ratios | None = None) -> SearchResult:
    best, by = rollouts.best, rollouts.scoring.by
    if not math.isfinite(best.loss):
        raise NoValidCandidateError(
            f"all {len(rollouts.tried)} rollouts diverged; lower --grid or --max-lr, and check the model and its data"
        )
    summary = {
        "score": rollouts.scoring.told(best.loss),
        "noise": noise(rollouts),
        "misfit": finite(rollouts.misfit),
        "untrained": finite(rollouts.scoring.told(short.untrained.mean)),
        "limited_by_divergence": short.limited,
        "alike": list(short.alike),
        "short_runs": [{"lr": lr, "score": finite(rollouts.scoring.told(loss))} for lr, loss in short.losses.items()],
        "rollouts": [entry(rollouts, rollout) for rollout in rollouts.tried],
        "full_runs": rollouts.spent,
        "skipped": list(rollouts.skipped.values()),
    } | ({"ratios": list(map(asdict, ratios.trials))} if ratios else {})
    return SearchResult(
        PiecewiseLinear(best.knots),
        best.key,
        chosen_by=by,
        next=NEXT.format("" if ratios or rollouts.run.start or rollouts.run.optimizer is None else RATIOS),
        summary=summary,
        notes=(*notes(p, rollouts, short, best), *(ratios.left_out if ratios else ())),
        tables=(every_rollout(rollouts, by), *(of_ratios(ratios) if ratios else ())),
    )


def entry(rollouts: Rollouts, rollout: Rollout) -> dict[str, Any]:
    return {
        "move": rollout.move,
        "knots": [list(knot) for knot in rollout.knots],
        "score": finite(rollouts.scoring.told(rollout.loss)),
        "full_runs": rollout.spent,
        "key": rollout.key,
    }


def notes(p: Lookahead, rollouts: Rollouts, short: ShortRuns, best: Rollout) -> tuple[str, ...]:
    return (*of_scores(p, rollouts), *of_short_runs(p, rollouts, short), *of_whole_runs(p, rollouts, short, best))


def of_scores(p: Lookahead, rollouts: Rollouts) -> list[str]:
    scoring = rollouts.scoring
    if p.score_on == "training" and not scoring.batches:
        return ["no training batches, or too few, are kept aside for scores, so runs are scored by validation loss"]
    if scoring.batches and scoring.batches < p.score_batches:
        why = (
            "there are no more" if scoring.batches < batches(p.score_batches, rollouts.run.left) else "the run is short"
        )
        return [f"runs are scored on {scoring.batches} batches instead of {p.score_batches}, since {why}"]
    return []


def of_short_runs(p: Lookahead, rollouts: Rollouts, short: ShortRuns) -> list[str]:
    told = []
    if not short.learned(rollouts.scoring):
        told.append(
            f"runs of {short.stop - rollouts.run.start} steps ended no better than they had begun, and tell little "
            "of the LR; whole runs decided"
        )
    elif short.wide:
        low, high = short.alike
        told.append(
            f"runs of {short.stop - rollouts.run.start} steps do not tell LRs from {low:.3g} to {high:.3g} apart; "
            "whole runs decided"
        )
    elif short.lr == max(short.scores) and p.max_lr is not None:
        told.append(f"the best of the short runs had LR {short.lr:g}; --max-lr {p.max_lr:g} allowed no higher one")
    if short.failed is not None:
        told.append(
            f"the short run with LR {short.failed:.3g} ended no better than it had begun, and was the next above the "
            f"best one, so all is searched in steps of {p.ratio[-1]:g}, the last --ratio, below it"
        )
    return told


def of_whole_runs(p: Lookahead, rollouts: Rollouts, short: ShortRuns, best: Rollout) -> list[str]:
    told, others = [], rollouts.like(best.course)
    if best.lr == max(others) and not rollouts.allows(best.lr * p.ratio[-1]):
        told.append(f"the answer has the highest LR of those tried; --max-lr {p.max_lr:g} allowed no higher one")
    elif rollouts.skipped and best.lr == max(rollout.lr for rollout in rollouts.tried):
        told.append(
            f"the answer has the highest LR of those tried, {best.lr:.3g}, when the budget ended: a higher one may be "
            "better; raise --budget, or begin with a higher --grid"
        )
    if rollouts.skipped:
        told.append(
            f"--budget {p.budget:g} left out at least {len(rollouts.skipped)} rollouts, of which the next would have "
            f"been: {next(iter(rollouts.skipped.values()))}"
        )
    elif rollouts.spent < p.budget - 1:
        told.append(
            f"stopped after {rollouts.spent:.1f} of {p.budget:g} full runs: no other LR, hold, rise or turn that it "
            f"tries is better, and differences up to {digits(noise(rollouts))} are noise; more --rise, --knot or a "
            "last --ratio nearer to 1 give it more to try"
        )
    if rollouts.misfit > max(OFF * (short.untrained.mean - best.loss), noise(rollouts)):
        told.append(
            f"a run was {digits(rollouts.misfit)} off the parabola through those beside it: runs differ by as much for "
            "other reasons than the LR, so compare over --seeds before you trust smaller differences"
        )
    if not rollouts.scoring.worse(short.untrained, best.score):
        told.append(
            "the answer scores no better than the model before any training, so that nothing was learned: try another "
            "--grid, more --steps, or check the model"
        )
    return told


def every_rollout(rollouts: Rollouts, by: str) -> Table:
    columns = ("rollout", "rise", "LR", *(f"LR at {step}" for step in rollouts.turns), "score", "full runs with scores")
    rows = tuple(row(rollouts, rollout) for rollout in rollouts.tried)
    scoring, noisy = rollouts.scoring, "of the batches that were scored"
    if not scoring.batches:
        noisy = "that runs with all but the same LR show"
    cost = f"A score counts as {scoring.forwards} forward passes, each {FORWARD:.2g} of a step."
    told = (
        f"{score_in_words(rollouts, by)} * is handed over.",
        f"Differences up to {digits(noise(rollouts))} are noise {noisy}.",
        cost if scoring.forwards else "What a score takes is not known, and not counted.",
    )
    return Table("Every rollout", columns, rows, told)


def of_ratios(ratios: Ratios) -> list[Table]:
    """What was tried of the ratios and, where some were better, the optimizer's table with them."""
    columns = ("LR over that of the rest", "steps", "LR", "score", "")
    rows = tuple(
        (each.what, str(each.steps), f"{each.lr:.3g}", digits(each.score), "taken" * each.taken)
        for each in ratios.trials
    )
    told = ("Taken: better by more than the noise than what was best before. Whole runs decide.",)
    table = Table("LRs by role", columns, rows, told)
    return [table, *([optimizer_table("The recipe's table with them", ratios.best)] if ratios.changed else [])]


def score_in_words(rollouts: Rollouts, by: str) -> str:
    objective = rollouts.scoring.objective
    if objective.metric == "loss":
        return f"Score: mean loss with frozen weights at the end of the run, by {by}."
    return f"Score: {by} at the end of the run, where {'more' if objective.maximize else 'less'} is better."


def row(rollouts: Rollouts, rollout: Rollout) -> tuple[str, ...]:
    lrs = dict(rollout.knots)
    return (
        rollout.move + " *" * (rollout is rollouts.best),
        str(rollout.course.rise - rollouts.run.start),
        f"{rollout.lr:.3g}",
        *(f"{lrs[step]:.3g}" for step in rollouts.turns),
        digits(rollouts.scoring.told(rollout.loss)),
        f"{rollout.spent:.2f}",
    )
