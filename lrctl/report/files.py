"""A report as files: figures, the curves and compared rows as CSV, and a page that holds everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrctl.report import figures, histogram
from lrctl.report.compare import Comparison
from lrctl.report.curves import Run
from lrctl.report.page import page, summary_page
from lrctl.report.panels import panels
from lrctl.smoothing import smoothed
from lrctl.store import aside, cannot_write

Files = dict[str, tuple[str, bytes]]
"""What a file holds -> its name and content."""

CURVES = ("step", "label", "seed", "loss", "smoothed", "difference", "lr")
ROWS = ("optimizer", "scheduler", "seed", "initial_lr", "delta10", "delta50", "delta100")


def write(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Write the report into a folder and return where each file is; the same comparison always gives the same bytes.

    Raises:
        StoreError: the folder cannot be written, or a job of a run is missing or damaged.
    """
    drawn = {"figure": figures.drawn(comparison)} | histograms(comparison.runs)
    whole = page(comparison, {name: svg for name, (_, svg) in drawn.items()})
    curves: Files = {"curves": ("curves.csv", as_csv(CURVES, curve_rows(comparison)))}
    return written(folder, page_of(whole) | pictures(drawn) | curves | rows_of(comparison.runs))


def write_summary(runs: Sequence[Run], folder: Path) -> dict[str, str]:
    """Write the report of runs in which nothing was trained: what their strategies have to show.

    Raises:
        StoreError: the folder cannot be written.
    """
    drawn = histograms(runs)
    whole = summary_page(runs, {name: svg for name, (_, svg) in drawn.items()})
    return written(folder, page_of(whole) | pictures(drawn))


def histograms(runs: Sequence[Run]) -> dict[str, tuple[bytes, str]]:
    """The histograms that runs have, as PNG and as SVG."""
    found = histogram.histograms(runs)
    return {"histogram": histogram.drawn(found)} if found else {}


def page_of(whole: str) -> Files:
    """The page."""
    return {"page": ("report.html", whole.encode())}


def pictures(drawn: dict[str, tuple[bytes, str]]) -> Files:
    """Figures as files."""
    found: Files = {}
    for name, (png, svg) in drawn.items():
        found |= {f"{name}_svg": (f"{name}.svg", svg.encode()), f"{name}_png": (f"{name}.png", png)}
    return found


def written(folder: Path, files: Files) -> dict[str, str]:
    """Write files and return where each is.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    for name, content in files.values():
        with aside(folder / name) as temporary:
            temporary.write_bytes(content)
    return {what: str(folder / name) for what, (name, _) in files.items()}


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def curve_rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    """A row per method, seed and step; nine digits give back the same float32.

    `difference` is the smoothed difference from the reference with the same seed, as in the figure; it is empty where
    the reference was not run with that seed.
    """
    for panel in panels(comparison):
        for curve in (curve for method in panel.methods for curve in method.curves):
            smooth, difference = smoothed(curve.losses), figures.against(curve, panel.reference)
            for step, (loss, lr) in enumerate(curve.history.tolist()):
                yield (
                    step,
                    curve.label,
                    curve.seed,
                    f"{loss:.9g}",
                    f"{smooth[step]:.9g}",
                    "" if difference is None else f"{difference[step]:.9g}",
                    repr(lr),
                )


def rows_of(runs: Sequence[Run]) -> Files:
    """The rows of comparisons that strategies recorded, each once, as `lrctl greedy --from-csv` reads them."""
    found = [
        compared_row(row) for run in runs for row in run.finished.document.get("rows", ()) if "greedy_losses" in row
    ]
    return {"rows": ("rows.csv", as_csv(ROWS, dict.fromkeys(found)))} if found else {}


def compared_row(row: Mapping[str, Any]) -> tuple[object, ...]:
    """What was compared, and by how much its loss was higher at each stage; empty where one is not finite."""
    pairs = zip(row["losses"], row["greedy_losses"], strict=True)
    deltas = ("" if None in pair else repr(pair[0] - pair[1]) for pair in pairs)
    return (*(row[name] for name in ROWS[:4]), *deltas)
