"""A comparison as files: figures, the curves as CSV, and a page that holds everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from lrctl.report.compare import Comparison
from lrctl.report.figures import against, drawn
from lrctl.report.page import page
from lrctl.smoothing import smoothed
from lrctl.store import aside, cannot_write

COLUMNS = ("step", "label", "seed", "loss", "smoothed", "difference", "lr")


def write(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Write the report into a folder and return where each file is; the same comparison always gives the same bytes.

    Raises:
        StoreError: the folder cannot be written, or a job of a run is missing or damaged.
    """
    png, svg = drawn(comparison)
    files = {
        "page": ("report.html", page(comparison, svg).encode()),
        "figure_svg": ("figure.svg", svg.encode()),
        "figure_png": ("figure.png", png),
        "curves": ("curves.csv", table(comparison).encode()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    for name, content in files.values():
        with aside(folder / name) as temporary:
            temporary.write_bytes(content)
    return {what: str(folder / name) for what, (name, _) in files.items()}


def table(comparison: Comparison) -> str:
    """The curves as CSV: a row per method, seed and step.

    `difference` is the smoothed difference from the reference with the same seed, as in the figure; it is empty where
    the reference was not run with that seed.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(comparison))
    return text.getvalue()


def rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    """The rows of the CSV; nine digits give back the same float32."""
    for method in comparison.methods:
        for curve in method.curves:
            smooth, difference = smoothed(curve.losses), against(curve, comparison.reference)
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
