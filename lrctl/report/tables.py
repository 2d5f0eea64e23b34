"""Stored results -> tables, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any

from lrctl.fields import fields_of
from lrctl.plugins import registry
from lrctl.report.compare import LEVEL, Comparison, Difference, Method

MANY = 5
"""With more seeds than these, the table has no column for each."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text. The first cell of a row names the row; the notes say how to read it."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def number(loss: float | None) -> str:
    """A loss to four digits."""
    return "not finite" if loss is None or not math.isfinite(loss) else f"{loss:.4f}"


def segments(document: Mapping[str, Any]) -> Table:
    """The decisions of a search: a row per segment, with the margin of each choice."""
    columns = ("k", "steps", "LR at start", "LR at end", "mean loss", "lowest", "eps (nats)", "margin")
    return Table("What each segment chose", columns, tuple(map(segment_row, document["segments"])))


def segment_row(segment: Mapping[str, Any]) -> tuple[str, ...]:
    """The decision of one segment."""
    losses = {c["lr"]: c["mean_loss"] for c in segment["candidates"]}
    lowest = min((loss for loss in losses.values() if loss is not None), default=None)
    margin = math.inf if segment["margin"] is None else segment["margin"]
    return (
        str(segment["k"]),
        f"{segment['start']}-{segment['stop']}",
        f"{segment['lr_start']:.3g}",
        f"{segment['chosen']:.3g}",
        number(losses[segment["chosen"]]),
        number(lowest),
        f"{segment['eps']:.3g}",
        f"{margin:.2g}",
    )


def results(document: Mapping[str, Any]) -> Table:
    """The schedules that a run's search ended with, best first: a row per entry of its results."""
    columns = ("schedule", "parameters", "train loss", "validation loss", "test loss", "tuning runs")
    rows = (
        (
            entry.get("name", entry["family"]),
            " ".join(f"{name}={setting(value)}" for name, value in telling(entry["family"], entry["params"])),
            *(number(entry[f"{which}_loss"]) for which in ("train", "validation", "eval")),
            f"{entry['runs']:g}",
        )
        for entry in document["results"]
    )
    given = any("given" in entry for entry in document["results"])
    note = "Tuning runs: plain runs of its grid search" + ", without what led to the schedule that was given" * given
    return Table("The best of each schedule", columns, tuple(rows), (f"{note}.",))


def telling(family: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What tells a schedule from others of its family: its LRs and shares, and all else that is not at its default.

    Lists are left out, but for knots, which are told by their peak.
    """
    part = next((part for part in registry().of("schedule") if part.name == family), None)
    declared = fields_of(part.target) if part else []
    defaults = {field.name: field.default for field in declared if field.default is not MISSING}
    for name, value in params.items():
        if name == "knots":
            yield "peak_lr", float(max(lr for _, lr in value))
        elif isinstance(value, float) or (isinstance(value, int | str) and value != defaults.get(name, value)):
            yield name, value


def fits(document: Mapping[str, Any]) -> Table:
    """The families fitted to a schedule, the best first: a row per family."""
    predicted = any("bound" in entry for entry in document["fits"])
    rows = (
        (
            entry["family"],
            *([f"{entry['bound']:.4f}"] if predicted else []),
            f"{entry['error']:.4f}",
            str(entry["parameters"]),
            " ".join(f"{name}={setting(entry['params'][name])}" for name in entry["fitted"]),
        )
        for entry in document["fits"]
    )
    notes = [
        "Error: the root mean square of the difference over that of the schedule itself; 0 is the same schedule.",
        "Each fitted parameter makes it smaller, which says nothing of how well the schedule trains.",
    ]
    if predicted:
        notes += [
            "Bound: from convex optimisation, at the shape's best peak_lr, over that of the schedule itself; below 1",
            "predicts a better shape. Deep networks are not convex: it is a guess.",
        ]
    columns = ("family", *(["bound"] if predicted else []), "error", "parameters", "fitted")
    return Table("Closed forms of the schedule", columns, tuple(rows), tuple(notes))


def setting(value: Any) -> str:
    """A parameter's value, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def comparison_tables(comparison: Comparison) -> list[Table]:
    """What the methods reached, and, where there are several, how they differ from the reference."""
    return [methods(comparison)] + ([differences(comparison)] if comparison.differences else [])


def methods(comparison: Comparison) -> Table:
    """A row per method: its losses, averaged over seeds, and what it cost."""
    seeds = sorted({seed for method in comparison.methods for seed in method.seeds})
    each = seeds if 1 < len(seeds) <= MANY else []
    shown = (*(f"seed {seed}" for seed in each), "plain runs")
    note = "Train loss is the last one after a Gaussian filter of 10 steps. Plain runs are the cost in ordinary runs."
    if each:
        note = "The columns of single seeds hold the test loss. " + note
    return Table(
        "Losses at the end" + (", mean over seeds" if len(seeds) > 1 else f", seed {seeds[0]}"),
        ("method", "seeds", "train loss", "validation loss", "test loss", *shown),
        tuple(
            method_row(method, each, method is comparison.reference and bool(comparison.differences))
            for method in comparison.methods
        ),
        (note, *comparison.notes),
    )


def method_row(method: Method, seeds: list[int], is_reference: bool) -> tuple[str, ...]:
    """What one method reached."""
    at = {curve.seed: number(curve.eval_loss) for curve in method.curves}
    return (
        method.label + (" (reference)" if is_reference else ""),
        str(len(method.curves)),
        number(method.mean("train_loss")),
        number(method.mean("validation_loss")),
        number(method.mean("eval_loss")),
        *(at.get(seed, "") for seed in seeds),
        f"{method.mean('plain_runs'):.1f}",
    )


def differences(comparison: Comparison) -> Table:
    """A row per method other than the reference: the paired difference of its test loss, and the verdict."""
    return Table(
        f"Test loss against {comparison.reference.label}",
        ("method", "shared seeds", "difference", "95 % interval", "by seed", "p (Holm)", "verdict"),
        tuple(map(difference_row, comparison.differences)),
        how_to_read(comparison),
    )


def difference_row(found: Difference) -> tuple[str, ...]:
    """How one method differs from the reference."""
    return (
        found.label,
        str(len(found.seeds)),
        signed(found.mean) if found.seeds else "",
        f"{signed(found.interval[0])} to {signed(found.interval[1])}" if found.interval else "none",
        " ".join(sign(value) for value in found.values),
        "none" if found.p_holm is None else "<0.001" if found.p_holm < 0.001 else f"{found.p_holm:.2g}",
        found.verdict,
    )


def how_to_read(comparison: Comparison) -> tuple[str, ...]:
    """What the table of differences says, and what it does not."""
    tested = sum(found.p is not None for found in comparison.differences)
    read = "Difference: the method's test loss minus the reference's on the same seed; below 0 the method is better. "
    if not tested:
        return (read + "One run says nothing about chance: compare over several seeds before you conclude.",)
    correction = f"Holm's correction over {tested} comparisons" if tested > 1 else "one comparison, so uncorrected"
    interval = (
        "The interval is the paired t interval over the shared seeds, of each comparison alone; it takes the "
        "differences for draws from one normal distribution, and with few seeds it is wide."
    )
    verdict = (
        f"The verdict rests on p of the paired t test, at most {LEVEL:g} ({correction}). It speaks for this workload, "
        "data and run length only."
    )
    return (read + "By seed: - lower, + higher, 0 equal.", interval, verdict)


def signed(value: float) -> str:
    """A difference of losses."""
    return f"{value:+.4f}" if math.isfinite(value) else "not finite"


def sign(value: float) -> str:
    """Which way a difference goes; one that is not a number goes neither way."""
    return "-" if value < 0 else "+" if value > 0 else "0"


def sentence(found: Difference, reference: str) -> str:
    """What was found of a method, in words."""
    if not found.seeds:
        return f"It was run with no seed that {reference} was run with."
    if not math.isfinite(found.mean):
        return "A test loss is not finite, so there is no mean difference."
    lower = sum(value < 0 for value in found.values)
    way = "lower" if found.mean < 0 else "higher"
    told = f"Its test loss is {abs(found.mean):.4f} {way} than that of {reference}"
    if not found.interval:
        return f"{told} on seed {found.seeds[0]}."
    low, high = map(signed, found.interval)
    return f"{told} on average (95 % interval {low} to {high}), and lower on {lower} of {len(found.seeds)} seeds."
