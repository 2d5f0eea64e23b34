"""What a lookahead search answers with: the best rollout, and what was tried on the way to it."""

from __future__ import annotations

import math
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.job import FORWARD
from lrctl.contracts.piecewise import PiecewiseLinear
from lrctl.contracts.strategy import SearchResult
from lrctl.contracts.table import Table
from lrctl.errors import NoValidCandidateError
from lrctl_strategies.lookahead.params import Lookahead
from lrctl_strategies.lookahead.rollouts import Rollout, Rollouts, digits
from lrctl_strategies.lookahead.short_runs import ShortRuns

NEXT = "lrctl compare with the run of lrctl baseline on the same recipe, over a few seeds"


def answer(p: Lookahead, rollouts: Rollouts, short: ShortRuns) -> SearchResult:
    best, by = rollouts.best, "training batches kept aside" if rollouts.score_batches else "validation loss"
    if not math.isfinite(best.score):
        raise NoValidCandidateError(
            f"all {len(rollouts.tried)} rollouts diverged; lower --grid or --max-lr, and check the model and its data"
        )
    summary = {
        "score": best.score,
        "untrained": finite(short.untrained),
        "limited_by_divergence": short.limited,
        "short_runs": [{"rise": r, "lr": lr, "score": finite(s)} for (r, lr), s in short.scores.items()],
        "rollouts": [entry(rollout) for rollout in rollouts.tried],
        "full_runs": rollouts.spent,
        "skipped": rollouts.skipped,
    }
    return SearchResult(
        PiecewiseLinear(best.knots),
        best.key,
        chosen_by=by,
        next=NEXT,
        summary=summary,
        notes=notes(p, rollouts, short, best),
        tables=(every_rollout(rollouts, by),),
    )


def entry(rollout: Rollout) -> dict[str, Any]:
    return {
        "move": rollout.move,
        "knots": [list(knot) for knot in rollout.knots],
        "score": finite(rollout.score),
        "full_runs": rollout.spent,
        "key": rollout.key,
    }


def notes(p: Lookahead, rollouts: Rollouts, short: ShortRuns, best: Rollout) -> tuple[str, ...]:
    told, lrs = [], sorted(lr for _, lr in short.scores)
    if short.lr == lrs[-1] and p.max_lr is not None:
        told.append(f"the best of the short runs had LR {short.lr:g}; --max-lr {p.max_lr:g} allowed no higher one")
    elif short.lr in (lrs[0], lrs[-1]):
        told.append(f"the best of the short runs had LR {short.lr:g}, the last that was tried; try another --grid")
    if short.failed is not None:
        told.append(
            f"the short run with LR {short.failed:.3g} ended no better than it had begun, and was the next above the "
            f"best one, so all is searched in steps of --fine-ratio {p.fine_ratio:g} below it"
        )
    if rollouts.skipped:
        told.append(
            f"--budget {p.budget:g} left out at least {rollouts.skipped} rollouts; a score costs "
            f"{rollouts.scoring / rollouts.steps:.2g} "
            "full runs, less with fewer --score-batches"
        )
    if not best.score < short.untrained:
        told.append("the answer scores no better than the model before any training; lower --grid, or check the model")
    return tuple(told)


def every_rollout(rollouts: Rollouts, by: str) -> Table:
    columns = ("rollout", *(f"LR at {step}" for step in rollouts.at), "score", "full runs with scores")
    rows = tuple(
        (
            rollout.move + " *" * (rollout is rollouts.best),
            *(f"{lr:.3g}" for _, lr in rollout.knots[1:-1]),
            digits(rollout.score),
            f"{rollout.spent:.2f}",
        )
        for rollout in rollouts.tried
    )
    told = [f"Score: mean loss with frozen weights at the end of the run, by {by}. * is handed over."]
    if rollouts.score_batches:
        told.append(f"A score counts as {rollouts.score_batches} forward passes, each {FORWARD:.2g} of a step.")
    else:
        told.append("What the validation losses cost is not counted.")
    return Table("Every rollout", columns, rows, tuple(told))
