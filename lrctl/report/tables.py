"""Stored results -> tables, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lrctl.analysis.statistics import LEVEL
from lrctl.contracts.result import Status
from lrctl.contracts.strategy import Segment, TrainedRun
from lrctl.contracts.table import Table, interval, number, probability, signed
from lrctl.report.compare import Comparison, Difference, at_worst
from lrctl.storage.run_result import LOSSES, Cost, RunResult

UNSEEN: tuple[Status, ...] = ("stopped", "skipped")
"""Candidates of which no mean loss is known."""

UNKNOWN = "by how much the candidates missed that were stopped or not tried is not known."
SAFE = "no loss of one candidate alone would have changed that choice."

MANY = 5
"""With more seeds than these, the table has no column for each."""


def segment_table(segments: Sequence[Segment]) -> Table:
    shared = any(segment.frozen_loss is not None for segment in segments)
    notes = ["Eps was a share of each segment's progress over frozen weights; the table has it in nats."] * shared
    notes += without_margin(segments)
    rows = tuple(
        (
            str(segment.k),
            f"{segment.start}-{segment.stop}",
            f"{segment.lr_start:.3g}",
            f"{segment.chosen:.3g}",
            number(segment.winner.mean_loss),
            number(min(candidate.mean_loss for candidate in segment.candidates)),
            f"{segment.eps:.3g}",
            f"{segment.margin:.2g}" if math.isfinite(segment.margin) else "",
        )
        for segment in segments
    )
    columns = ("k", "steps", "LR at start", "LR at end", "mean loss", "lowest", "eps (nats)", "margin")
    return Table("What each segment chose", columns, rows, (*notes, *not_finished(segments)))


def without_margin(segments: Sequence[Segment]) -> list[str]:
    """Why choices have none: whether they could have been others is known of losses that were seen to their end."""
    reasons: dict[str, list[str]] = {}
    for segment in segments:
        if not math.isfinite(segment.margin):
            unseen = any(each.status in UNSEEN for each in segment.candidates)
            reasons.setdefault(UNKNOWN if unseen else SAFE, []).append(str(segment.k))
    return [f"No margin for k = {', '.join(ks)}: {reason}" for reason, ks in reasons.items()]


def not_finished(segments: Sequence[Segment]) -> list[str]:
    statuses = [candidate.status for segment in segments for candidate in segment.candidates]
    reasons: dict[Status, str] = {
        "stopped": "were stopped early, since they could not be chosen any more",
        "skipped": "were not tried: the search was a lean one",
    }
    known = {status: why for status, why in reasons.items() if status in statuses}
    return [f"{statuses.count(status)} of {len(statuses)} candidates {why}." for status, why in known.items()]


def result_tables(result: RunResult) -> list[Table]:
    """What a person is shown of one run: its decisions, the tables that its strategy made, and the plain run."""
    decisions = [segment_table(result.segments)] if result.segments else []
    return [*decisions, *result.tables, *([reference_table(result, result.reference)] if result.reference else [])]


def reference_table(result: RunResult, plain: TrainedRun) -> Table:
    """What a search found beside the plain run that was trained for comparison with it."""
    others = [name for name in plain.metrics.get("test", {}) if name in result.metrics.get("test", {})]
    rows = tuple(
        (
            name,
            *(number(getattr(run, loss)) for loss in LOSSES),
            *(number(run.metrics["test"][each]) for each in others),
        )
        for name, run in ((result.command, result), (plain_name(plain), plain))
    )
    columns = ("run", *(loss.replace("_", " ") for loss in LOSSES), *(f"test {name}" for name in others))
    return Table("Beside a plain run", columns, rows, beside_in_words(result, plain))


def plain_name(plain: TrainedRun) -> str:
    peak = plain.schedule.params.get("peak_lr")
    return f"{plain.name}, LR {peak:.3g}" if isinstance(peak, float) else plain.name


UNTUNED = (
    "Its LR is what the search's first step told: lrctl baseline tunes it, and --seeds 0,1,2 tells what chance does."
)
"""Of the plain run, wherever that is not simply the better one."""


def beside_in_words(result: RunResult, plain: TrainedRun) -> tuple[str, ...]:
    """Which of the two is better by validation loss, and whether the test loss, which nothing chose by, agrees."""
    found, other = at_worst(result.validation_loss), at_worst(plain.validation_loss)
    if not math.isfinite(other):
        return ("The plain run diverged, or its validation loss is not finite.",)
    if not math.isfinite(found):
        return ("The plain run is better by validation loss, and costs one run: take it, or another search.",)
    if other == found:
        return ("What was found is no better than the plain run, by validation loss.",)
    ahead, gain = ("What was found", other - found) if found < other else ("The plain run", found - other)
    said = f"{ahead} is better by {gain:.4f} of validation loss"
    test = at_worst(plain.test_loss) - at_worst(result.test_loss)
    if math.isfinite(test) and test * (other - found) < 0:
        return f"{said}, and worse by {abs(test):.4f} of test loss: neither is shown to be better.", UNTUNED
    said += f" and {abs(test):.4f} of test loss" if math.isfinite(test) else ""
    if found < other:
        return f"{said} than the plain run.", UNTUNED
    return (f"{said}, and costs one run: take it, or another search.",)


def cost_in_words(cost: Cost) -> str:
    parts = [f"{cost.steps_trained} steps trained"]
    parts += [f"{cost.extra_forwards} more forward passes"] * bool(cost.extra_forwards)
    parts += [f"{cost.scored_batches} batches scored"] * bool(cost.scored_batches)
    in_vain = f" ({cost.speculated_full_runs:.1f} of them trained ahead in vain)" * bool(cost.speculated_full_runs)
    return (
        f"{cost.jobs} jobs ({cost.jobs_reused} reused), {' and '.join(parts)} = "
        f"{runs_in_words(cost.full_runs, cost.reference_full_runs, in_vain)}, {cost.seconds:.0f} s"
    )


def runs_in_words(full_runs: float, beside: float, in_vain: str = "") -> str:
    told = f", and {beside:.1f} for the plain run beside it" if beside else ""
    return f"{full_runs:.1f} full runs{in_vain}{told}"


def comparison_tables(comparison: Comparison) -> list[Table]:
    return [
        methods(comparison),
        *([metrics(comparison)] if any(method.metrics for method in comparison.methods) else []),
        *([differences(comparison)] if comparison.differences else []),
    ]


def metrics(comparison: Comparison) -> Table:
    """The metrics of the test data beside the loss."""
    names = dict.fromkeys(name for method in comparison.methods for name in method.metrics)
    rows = tuple(
        (method.label, *(number(method.metrics[name]) if name in method.metrics else "" for name in names))
        for method in comparison.methods
    )
    told = "Means over the seeds, on test data. Nothing was chosen by them."
    return Table("Other metrics at the end", ("method", *names), rows, (told,))


def methods(comparison: Comparison) -> Table:
    seeds = sorted({seed for method in comparison.methods for seed in method.seeds})
    shown = seeds if 1 < len(seeds) <= MANY else []
    rows = []
    for method in comparison.methods:
        at = {curve.seed: number(curve.entry.test_loss) for curve in method.curves}
        marked = method is comparison.reference and comparison.differences
        row = (method.label + (" (reference)" if marked else ""), str(len(method.curves)))
        means = (number(method.mean(loss)) for loss in LOSSES)
        rows.append((*row, *means, *(at.get(seed, "") for seed in shown), f"{method.mean('full_runs'):.1f}"))
    losses = (loss.replace("_", " ") for loss in LOSSES)
    note = "Train loss is the last one after a Gaussian filter of 10 steps. Full runs are the cost in ordinary runs."
    return Table(
        "Losses at the end" + (", mean over seeds" if len(seeds) > 1 else f", seed {seeds[0]}"),
        ("method", "seeds", *losses, *(f"seed {seed}" for seed in shown), "full runs"),
        tuple(rows),
        ("The columns of single seeds hold the test loss. " * bool(shown) + note, *comparison.notes),
    )


def differences(comparison: Comparison) -> Table:
    rows = tuple(
        (
            each.label,
            str(len(each.seeds)),
            signed(each.mean) if each.seeds else "",
            interval(each.interval),
            " ".join(map(sign, each.values)),
            probability(each.p_holm),
            each.verdict,
        )
        for each in comparison.differences
    )
    columns = ("method", "shared seeds", "difference", "95 % interval", "by seed", "p (Holm)", "verdict")
    return Table(f"Test loss against {comparison.reference.label}", columns, rows, how_to_read(comparison))


def how_to_read(comparison: Comparison) -> tuple[str, ...]:
    tested = sum(difference.p is not None for difference in comparison.differences)
    read = "Difference: the method's test loss minus the reference's on the same seed; below 0 the method is better. "
    if not tested:
        return (read + "One run says nothing about chance: compare over several seeds before you conclude.",)
    correction = f"Holm's correction over {tested} comparisons" if tested > 1 else "one comparison, so uncorrected"
    ends = (
        "The interval is the paired t interval over the shared seeds"
        + (", wider by as much as p is corrected, so that both say the same" if tested > 1 else "")
        + "; it takes the differences for draws from one normal distribution, and with few seeds it is wide."
    )
    verdict = (
        f"The verdict rests on p of the paired t test, at most {LEVEL:g} ({correction}). It speaks for this workload, "
        "data and run length only."
    )
    return (read + "By seed: - lower, + higher, 0 equal.", ends, verdict)


def sign(value: float) -> str:
    """Which way a difference goes; one that is not a number goes neither way."""
    return "-" if value < 0 else "+" if value > 0 else "0"


def sentence(difference: Difference, reference: str) -> str:
    if not difference.seeds:
        return f"It was run with no seed that {reference} was run with."
    if not math.isfinite(difference.mean):
        return "A test loss is not finite, so there is no mean difference."
    lower = sum(value < 0 for value in difference.values)
    way = "lower" if difference.mean < 0 else "higher"
    start = f"Its test loss is {abs(difference.mean):.4f} {way} than that of {reference}"
    if not difference.interval:
        return f"{start} on seed {difference.seeds[0]}."
    ends = interval(difference.interval)
    return f"{start} on average (95 % interval {ends}), and lower on {lower} of {len(difference.seeds)} seeds."
