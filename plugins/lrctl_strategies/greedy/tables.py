"""The comparison of GreedyLR as tables and a chart: over seeds, and as the paper counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrctl.analysis.statistics import LEVEL, paired_tests, verdict
from lrctl.contracts.chart import Chart, Series
from lrctl.contracts.table import Table, interval, probability, signed
from lrctl_strategies.greedy.protocol import LABELS, STAGES, Row


def by_pair(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each optimizer and schedule: the final difference by seed, its mean, 95 % interval and verdict."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.about["optimizer"], row.about["scheduler"]), []).append(row)
    tests = paired_tests([[row.delta for row in group] for group in groups.values()])
    return [
        {
            "optimizer": optimizer,
            "scheduler": scheduler,
            "seeds": [row.about["seed"] for row in group],
            "beats": [list(row.beats) for row in group],
            "deltas": [row.delta for row in group],
            **test._asdict(),
            # A delta is the other's loss minus ours: above 0 GreedyLR is better.
            "verdict": verdict(-test.mean, test.p_holm, len(group)),
        }
        for ((optimizer, scheduler), group), test in zip(groups.items(), tests, strict=True)
    ]


def compared(pairs: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("optimizer", "against", *(f"at {100 * stage:.0f} %" for stage in STAGES))
    rows = (
        (
            pair["optimizer"],
            pair["scheduler"],
            *(" ".join(each) for each in zip(*pair["beats"], strict=True)),
            signed(pair["mean"]),
            interval(pair["interval"]),
            probability(pair["p_holm"]),
            pair["verdict"],
        )
        for pair in pairs
    )
    notes = (
        "At each stage, seed by seed: yes, GreedyLR has the lower smoothed training loss; no, it has not.",
        "A star: by less than the margin.",
        "Delta: the other's final training loss minus GreedyLR's, mean over seeds; above 0 GreedyLR is better.",
        f"Verdict: by a paired t test over the seeds at {LEVEL:g}, with Holm's correction over all rows.",
        "It speaks for this workload, length and initial LR only.",
    )
    return Table("GreedyLR against", (*columns, "delta", "95 % interval", "p (Holm)", "verdict"), tuple(rows), notes)


def summary(found: Mapping[str, Any], diverged: Mapping[str, int] | None = None) -> list[Table]:
    """The paper's Tables II, III and IV and figure 1; `diverged` counts the runs of either side, if known."""
    counts, delta, overall, final = (found[name] for name in ("counts", "delta", "overall", "final"))
    margin, stages = f"{found['margin']:g}", found["as_good_or_better_by_stage"]
    told = [
        ("overall as good or better (all but no)", percent(overall["as_good_or_better"])),
        ("overall better (yes, yes*)", percent(overall["better"])),
        ("clearly better (yes)", percent(overall["clearly_better"])),
        ("overall as good (yes*, no*)", percent(overall["as_good"])),
        ("overall worse (no)", percent(overall["worse"])),
        *((f"as good or better at {100 * s:.0f} %", percent(share)) for s, share in zip(STAGES, stages, strict=True)),
        ("final: better (yes, yes*)", percent(final["better"])),
        ("final: ahead, behind", f"{final['ahead']}, {final['behind']}"),
        ("sign test of that", f"p = {probability(final['sign_test'])}"),
        ("delta: mean, median", f"{shown(delta['mean'])}, {shown(delta['median'])}"),
        ("delta: largest benefit, largest deficit", f"{shown(delta['max_benefit'])}, {shown(delta['max_deficit'])}"),
    ]
    counted = [
        f"{found['rows']} comparisons at {len(STAGES)} stages each; {found['did_not_finish']} did not finish (DNF).",
        "They count at the stages that both sides reached.",
    ]
    if diverged and any(diverged.values()):
        counted.append(f"Runs that diverged: {diverged['greedy']} of GreedyLR, {diverged['others']} of others.")
    read = (
        "As good is within the margin: one that is a little worse everywhere is as good everywhere. See the deltas.",
        "The sign test takes comparisons for independent; where several share a run of GreedyLR, its p is too small.",
    )
    columns = (*LABELS, "sum", f"final within {margin}")
    cells = (*(str(counts[name]) for name in (*LABELS, "sum")), str(delta["within_margin"]))
    return [
        Table(f"How often GreedyLR is ahead, margin {margin}", columns, (cells,), tuple(counted)),
        Table("In percent", ("of the labels", ""), tuple(told), read),
        bars(found["histogram"]),
    ]


def bars(histogram: Mapping[str, Sequence[Any]], width: int = 40) -> Table:
    counts, edges = histogram["counts"], histogram["edges"]
    scale = min(1.0, width / max(counts, default=1))
    rows = (
        (f"{low:g} to {high:g}", str(count), "#" * math.ceil(count * scale))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    )
    return Table("Final deltas", ("delta", "comparisons", ""), tuple(rows), ("Above 0 GreedyLR is better.",))


def histogram(found: Mapping[str, Any]) -> tuple[Chart, ...]:
    """The paper's figure 1 as a chart; none where nothing was counted."""
    counts, edges = found["histogram"]["counts"], found["histogram"]["edges"]
    caption = (
        "How many comparisons of a run ended with which difference of the final losses: the other schedule's minus "
        "GreedyLR's, which is ahead above 0. The run's tables below have the numbers."
    )
    series = Series("comparisons", tuple(edges), tuple(counts))
    return (Chart("histogram", "Final deltas", "bars", "delta", "comparisons", caption, (series,)),) if counts else ()


def percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"


def shown(value: float | None) -> str:
    return "none" if value is None else signed(value)
