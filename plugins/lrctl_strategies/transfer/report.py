"""What a transfer answers with: the peak and its interval, and the rungs that told it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lrctl.contracts.canonical import finite
from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.horizon import EXPONENT
from lrctl.contracts.strategy import RunSpec, SearchResult
from lrctl.contracts.table import Table
from lrctl_strategies.lookahead.parabola import Parabola
from lrctl_strategies.lookahead.rollouts import digits
from lrctl_strategies.lookahead.scoring import Score
from lrctl_strategies.transfer.answer import MEASURED, WIDER, Answer, exponents, projected
from lrctl_strategies.transfer.ladder import Ladder
from lrctl_strategies.transfer.line import Line
from lrctl_strategies.transfer.params import Transfer
from lrctl_strategies.transfer.rungs import Rung

TRAIN = "the same with --train, which trains the long run; lrctl export RUN --to torch for your own project"
TRAINED = "lrctl compare with the run of lrctl baseline on the same recipe, over a few seeds"

PASSES = 2
"""Rungs that go through their data more often than this know what it does to the LR."""

POINTS = 40
"""A parabola is drawn through so many places and one more."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that there is to tell.

    Attributes:
        earlier: the score of a run half as long as the first rung, if it was trained.
        line: what the long run is watched by.
        left: the step at which the long run lay below it, if it was trained and did.
    """

    params: Transfer
    run: RunSpec
    rungs: tuple[Rung, ...]
    peak: Answer
    warmup: int
    untrained: Score
    earlier: tuple[Score, ...]
    ladder: Ladder
    line: Line | None = None
    left: int | None = None

    @property
    def gains(self) -> list[float]:
        """By how much the best score falls from each length to the next, twice as long."""
        scores = [*self.earlier, *(rung.scores[rung.best] for rung in self.rungs)]
        return [shorter.mean - longer.mean for shorter, longer in pairwise(scores)]

    @property
    def breaks_through(self) -> bool:
        """Whether a gain is larger than the one before it, by more than the noise of the scores."""
        scores = [rung.scores[rung.best] for rung in self.rungs]
        noises = (self.ladder.scoring.noise(shorter, longer) for shorter, longer in pairwise(scores))
        return any(later > before + noise for (before, later), noise in zip(pairwise(self.gains), noises, strict=True))


def told(found: Found) -> SearchResult:
    p, peak = found.params, found.peak
    summary = {
        "peak_lr": peak.peak,
        "interval": [peak.low, peak.high],
        "off_costs": finite(peak.cost),
        "exponent": peak.exponent,
        "warmup": found.warmup,
        "limited_by_divergence": found.rungs[0].failed is not None,
        "breaks_through": found.breaks_through,
        "watched_by": found.line and found.line.document,
        "left_at": found.left,
        "untrained": finite(found.untrained.mean),
        "rungs": [entry(found, n) for n in range(len(found.rungs))],
        "full_runs": found.ladder.spent_steps / found.run.steps,
    }
    return SearchResult(
        None,
        None,
        chosen_by="training batches kept aside" if found.ladder.scoring.batches else "validation loss",
        next=TRAINED if p.train else TRAIN,
        summary=summary,
        notes=tuple(notes(found)),
        tables=(table(found),),
        charts=tuple(map(chart, found.rungs)),
    )


def entry(found: Found, n: int) -> dict[str, Any]:
    rung = found.rungs[n]
    return {
        "steps": rung.steps,
        "scores": [{"lr": lr, "score": finite(score.mean)} for lr, score in sorted(rung.scores.items())],
        "best_lr": rung.vertex,
        "curvature": rung.curvature,
        "alike": None if rung.alike is None else list(rung.alike),
        "exponent": [None, *exponents(found.rungs)][n],
    }


def notes(found: Found) -> Iterator[str]:
    yield from of_rungs(found)
    p, peak, rung = found.params, found.peak, found.rungs[-1]
    if found.breaks_through:
        gains = ", ".join(map(digits, found.gains))
        yield (
            f"the loss falls faster from length to length (by {gains}): the model breaks through, and the best LR of a "
            "longer run may be several times higher, outside of the interval; use lrctl lookahead, or rungs that lie "
            "behind it by more --steps"
        )
    if (epoch := found.ladder.epoch) and rung.steps <= PASSES * epoch < PASSES * found.run.steps:
        yield (
            f"the run goes through its data {found.run.steps / epoch:.1f} times and the longest rung "
            f"{rung.steps / epoch:.1f} times: where data come round again the best LR was up to four times higher than "
            "such rungs said; do not rely on the interval, or use lrctl lookahead"
        )
    if found.left is not None:
        yield changed(found.left)
    if rung.failed is not None:
        yield (
            f"the run with LR {rung.failed:.3g} ended no better than untrained, and was the next above the best: only "
            f"divergence limits the LR, and {peak.peak:.3g} is three quarters of what a short run stands"
        )
    if found.run.optimizer not in MEASURED:
        yield (
            f"the exponent {EXPONENT} was measured with AdamW, and for {found.run.optimizer} it is not known: the "
            f"interval allows for {WIDER} more or less"
        )
    if p.max_lr is not None and peak.peak == p.max_lr:
        yield f"--max-lr {p.max_lr:g} allowed no higher peak"


def changed(step: int) -> str:
    """What a person is told of a long run that left the line."""
    return (
        f"at step {step} the loss lies below the line through the rungs by more than they allow: the regime has "
        "changed, and the best LR may be several times higher; use lrctl lookahead, or longer rungs by --budget 1.9"
    )


def of_rungs(found: Found) -> Iterator[str]:
    if found.params.score_on == "training" and not found.ladder.scoring.batches:
        yield "no training batches, or too few, are kept aside for scores, so rungs are scored by validation loss"
    if not found.ladder.scoring.batches:
        yield "the noise of validation losses is not known, and no part of the interval"
    for rung in found.rungs:
        if rung.alike:
            low, high = rung.alike
            yield (
                f"runs of {rung.steps} steps do not tell LRs from {low:.3g} to {high:.3g} apart, and their middle is "
                "taken; more --score-batches tell more"
            )
        elif rung.best == max(rung.scores) and found.params.max_lr is not None and not rung.curvature:
            yield f"the best LR of {rung.steps} steps was the highest that --max-lr {found.params.max_lr:g} allowed"


def table(found: Found) -> Table:
    columns = ("run", "LR", "score", "best LR", "local exponent", "peak for the run")
    rows = [row for n in range(len(found.rungs)) for row in of_rung(found, n)]
    return Table("Every run of the rungs", columns, tuple(rows), reading(found))


def of_rung(found: Found, n: int) -> Iterator[tuple[str, ...]]:
    """A row for each LR; the first tells what all of them say."""
    rung, exponent = found.rungs[n], [None, *exponents(found.rungs)][n]
    limited = found.rungs[0].failed is not None
    said = (
        f"{rung.vertex:.3g}",
        "" if exponent is None else f"{exponent:+.2f}",
        "" if limited else f"{math.exp(projected(rung, found.run.steps)):.3g}",
    )
    for i, (lr, score) in enumerate(sorted(rung.scores.items())):
        mark = " *" * (lr == rung.best)
        yield (f"{rung.steps} steps", f"{lr:.3g}{mark}", digits(score.mean), *(("", "", "") if i else said))


def reading(found: Found) -> tuple[str, ...]:
    peak = found.peak
    peak_is = f"The peak of {found.params.family} over {found.run.steps} steps: {peak.peak:.3g}"
    lines = [f"{peak_is}, with 90 % {peak.low:.3g} to {peak.high:.3g}, after {found.warmup} steps of warmup."]
    if peak.cost is not None:
        lines.append(f"Being off by as much costs {digits(peak.cost)} at the most, by the curvature of the last rung.")
    lines.append("It holds for the optimizer and the batch size of these runs. * is the best of its rung.")
    if len(found.rungs) > 1:
        lines.append("Local exponents tell how the best LR went from rung to rung; they are not used.")
    return tuple(lines)


def chart(rung: Rung) -> Chart:
    """The scores of a rung, and the parabola that tells its best LR."""
    tried = sorted(rung.scores.items())
    lrs = tuple(lr for lr, _ in tried)
    series = [Series("score", lrs, tuple(finite(score.mean) for _, score in tried))]
    if rung.curvature:
        curve = Parabola(rung.vertex, rung.curvature, 0.0)
        bottom = min(score.mean - curve.above(lr) for lr, score in tried)
        at = tuple(lrs[0] * (lrs[-1] / lrs[0]) ** (i / POINTS) for i in range(POINTS + 1))
        series.append(Series("parabola", at, tuple(bottom + curve.above(lr) for lr in at)))
    return Chart(
        f"rung-{rung.steps}",
        f"Runs of {rung.steps} steps",
        "lines",
        "LR",
        "score",
        caption=f"The score by the LR. The best LR is {rung.vertex:.3g}.",
        series=tuple(series),
        log_x=True,
    )
