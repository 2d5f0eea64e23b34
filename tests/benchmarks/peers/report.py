"""The records as a Markdown table and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks.peers.records import Record
from lrctl.analysis.statistics import paired
from lrctl.contracts.table import number, signed
from lrctl.report.charts import MARKERS
from lrctl.report.drawing import COLOURS, fit, picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = (
    "contender",
    "seeds",
    "test loss",
    "minus {reference}",
    "steps trained",
    "full runs",
    "forward passes to choose by",
    "seconds",
    "checkpoints, MB",
)

APART = 1.02
"""Marks at the same number of steps stand side by side, each further right by this factor."""


@dataclass(frozen=True, slots=True)
class Row:
    """A contender over seeds: means, and the 95 % t intervals of the losses where there are at least two seeds.

    Attributes:
        difference: of the test loss from the reference's on the same seeds; None without a common seed.
    """

    contender: str
    seeds: int
    test_loss: float
    interval: tuple[float, float] | None
    difference: float | None
    difference_interval: tuple[float, float] | None
    steps_trained: float
    full_runs: float
    forwards: float
    seconds: float
    megabytes: float


def rows(records: Mapping[str, Sequence[Record]], reference: str) -> list[Row]:
    """A row for each contender, the lowest test loss first; `records` has one for each seed."""
    base = {each.seed: each.test_loss for each in records.get(reference, ())}
    return sorted((row(name, found, base) for name, found in records.items() if found), key=lambda row: row.test_loss)


def row(contender: str, records: Sequence[Record], base: Mapping[int, float]) -> Row:
    """A contender's row; `base` has the reference's test loss by seed."""
    losses = [each.test_loss for each in records]
    differences = [each.test_loss - base[each.seed] for each in records if each.seed in base]
    return Row(
        contender,
        len(records),
        fmean(losses),
        paired(losses)[0],
        fmean(differences) if differences else None,
        paired(differences)[0],
        fmean(each.steps_trained for each in records),
        fmean(each.steps_trained / each.steps for each in records),
        fmean(each.forwards for each in records),
        fmean(each.seconds for each in records),
        fmean(each.checkpoint_bytes for each in records) / 1e6,
    )


def markdown(found: Sequence[Row], reference: str) -> str:
    """A Markdown table."""
    lines = [[column.format(reference=reference) for column in COLUMNS], ["---", *["---:"] * (len(COLUMNS) - 1)]]
    lines += [cells(each, reference) for each in found]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(row: Row, reference: str) -> list[str]:
    """A row of the table."""
    difference = "" if row.difference is None or row.contender == reference else signed(row.difference)
    ends = row.difference_interval
    return [
        row.contender,
        str(row.seeds),
        number(row.test_loss) + (f" [{number(row.interval[0])}, {number(row.interval[1])}]" if row.interval else ""),
        difference + (f" [{signed(ends[0])}, {signed(ends[1])}]" if difference and ends else ""),
        f"{row.steps_trained:,.0f}",
        f"{row.full_runs:.1f}",
        f"{row.forwards:,.0f}",
        f"{row.seconds:.0f}",
        f"{row.megabytes:.1f}",
    ]


def svg(found: Sequence[Row], title: str) -> str:
    """Test loss against steps trained as an SVG, with what it shows in words for those who do not see it."""
    told = "; ".join(f"{row.contender}: {number(row.test_loss)} after {row.steps_trained:,.0f} steps" for row in found)
    return picture(lambda figure: paint(figure, found, title), "peers", title, told).svg


def paint(figure: Figure, found: Sequence[Row], title: str) -> None:
    """A mark with its interval for each contender; their names at the right, the highest loss first."""
    axes = figure.subplots()
    fit(axes, log_x=True, log_y=False)
    for place, row in enumerate(drawn := found[::-1]):
        alike = sum(other.steps_trained == row.steps_trained for other in drawn[:place])
        x, colour = row.steps_trained * APART**alike, COLOURS[place % len(COLOURS)]
        marker = MARKERS[place // len(COLOURS) % len(MARKERS)]
        axes.plot(x, row.test_loss, marker, color=colour, label=row.contender)
        if row.interval:
            axes.plot([x, x], row.interval, color=colour, linewidth=1.6)
    axes.margins(x=0.08)
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="steps trained in all", ylabel="test loss")
    figure.legend(loc="outside right upper", labelspacing=0.9)
