"""The plain run that a search ends beside: a default schedule, at the LR that the search's own first decision found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from lrctl.contracts.job import SegmentJob
from lrctl.contracts.result import FORWARD
from lrctl.contracts.strategy import Batch, Beside, RunSpec, Search, SearchResult, TrainedRun
from lrctl.registry.registry import registry
from lrctl.registry.schedules import recorded
from lrctl_strategies.families import in_fractions
from lrctl_strategies.tuning.prefixes import end

FAMILY = "wsd"
"""With 10 % warmup and 10 % decay, its defaults, a run of it is the one that `baseline` trains at this LR, too."""

ALONE = "the search itself is complete: only the plain run beside it is missing"
"""Said where a budget leaves that run out."""


@dataclass(frozen=True, kw_only=True)
class WithReference:
    reference: Annotated[
        bool,
        "at the end, train one plain run for comparison: WSD with 10 % warmup and 10 % decay, at the LR that the "
        "search's first decision found",
        Beside(),
    ] = True


def beside_plain_run(p: WithReference, found: SearchResult, lr: float, run: RunSpec) -> Search:
    """What was found, and the plain run at an LR, unless that is not wanted; a run under way has none."""
    if not p.reference or run.start:
        return found
    family = registry().get("schedule", FAMILY).target
    schedule = family(steps=run.steps, peak_lr=lr, **in_fractions(family))
    job = SegmentJob(0, run.steps, schedule, evaluate=("validation", "test"), checkpoint=False)
    keep = frozenset({found.checkpoint} if found.checkpoint else {})
    title = f"for comparison, a plain run of {FAMILY} at LR {lr:.3g}"
    alone = replace(found, notes=(*found.notes, ALONE))
    (result,) = yield Batch(title, [job], found.trace, keep, judge=False, beside=True, so_far=lambda _: alone)
    ended = end(schedule, result)
    losses = (ended.train_loss, ended.validation_loss, ended.test_loss)
    full_runs = (run.steps + FORWARD * result.extra_forwards) / run.steps
    plain = TrainedRun(FAMILY, recorded(schedule), ended.key, *losses, full_runs, metrics=result.other_metrics)
    return replace(found, reference=plain)
