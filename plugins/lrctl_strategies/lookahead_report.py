"""What a lookahead search answers with: the best rollout, and what was tried on the way to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lrctl.errors import NoValidCandidateError
from lrctl.job import finite
from lrctl.schedule import PiecewiseLinear
from lrctl.strategy import Found
from lrctl.table import Table, number
from lrctl_strategies.rollouts import FORWARD, Rollout, Rollouts

if TYPE_CHECKING:
    from lrctl_strategies.lookahead import Lookahead
    from lrctl_strategies.probes import Probes

NEXT = "lrctl compare with the run of lrctl baseline on the same recipe, over a few seeds"


def found(p: Lookahead, rollouts: Rollouts, probes: Probes) -> Found:
    """The answer.

    Raises:
        NoValidCandidateError: every rollout diverged.
    """
    best, by = rollouts.best, "training batches kept aside" if rollouts.judge.score_batches else "validation loss"
    if best.score == float("inf"):
        raise NoValidCandidateError(
            f"all {len(rollouts.tried)} rollouts diverged; lower --grid or --max-lr, and check the model and its data"
        )
    summary = (
        ("chosen_by", by),
        ("score", best.score),
        ("probes", [{"rise": r, "lr": lr, "score": finite(s)} for (r, lr), s in probes.scores.items()]),
        ("rollouts", [entry(rollout) for rollout in rollouts.tried]),
        ("plain_runs", rollouts.spent),
        ("next", NEXT),
    )
    return Found(
        PiecewiseLinear(best.knots),
        best.key,
        summary=summary,
        notes=notes(p, rollouts, probes),
        tables=(every_rollout(rollouts, by),),
    )


def entry(rollout: Rollout) -> dict[str, Any]:
    """A rollout in the results."""
    return {
        "move": rollout.move,
        "knots": [list(knot) for knot in rollout.knots],
        "score": finite(rollout.score),
        "plain_runs": rollout.spent,
        "key": rollout.key,
    }


def notes(p: Lookahead, rollouts: Rollouts, probes: Probes) -> tuple[str, ...]:
    """What the user should know about the answer."""
    told, lrs = [], [lr for _, lr in probes.scores]
    if probes.lr in (min(lrs), max(lrs)):
        told.append(
            f"the best of the first LRs, {probes.lr:g}, is at the edge of those tried; another --grid may do better"
        )
    if probes.limited:
        told.append(
            f"the short run with the next LR above {probes.lr:g} diverged, so steps of --fine-ratio {p.fine_ratio:g} "
            "were taken from there"
        )
    if rollouts.skipped:
        told.append(
            f"--budget {p.budget:g} had no room for {rollouts.skipped} more rollouts; a larger one may do better"
        )
    return tuple(told)


def every_rollout(rollouts: Rollouts, by: str) -> Table:
    """A row per rollout, in the order in which they were tried."""
    columns = ("rollout", *(f"LR at {step}" for step in rollouts.at), "score", "plain runs so far")
    rows = tuple(
        (
            rollout.move + " *" * (rollout is rollouts.best),
            *(f"{lr:.3g}" for _, lr in rollout.knots[1:-1]),
            number(rollout.score),
            f"{rollout.spent:.2f}",
        )
        for rollout in rollouts.tried
    )
    told = [f"Score: mean loss with frozen weights at the end of the run, by {by}. * is handed over."]
    if rollouts.judge.score_batches:
        told.append(f"A score counts as {rollouts.judge.score_batches} forward passes, each {FORWARD:.2g} of a step.")
    return Table("Every rollout", columns, rows, tuple(told))
