"""A report as files: figures; curves, charts and compared rows as CSV; and a page that holds everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lrctl.analysis.smoothing import smoothed
from lrctl.contracts.chart import Chart
from lrctl.contracts.table import Table
from lrctl.errors import StoreError
from lrctl.report import figures
from lrctl.report.chart_text import COLUMNS, RunChart, csv_rows
from lrctl.report.charts import charts_of, is_drawable, pictures
from lrctl.report.compare import Comparison
from lrctl.report.drawing import Picture
from lrctl.report.page import Panels, comparison_page, page
from lrctl.report.panels import panels, smoothed_difference
from lrctl.report.runs import Run
from lrctl.storage.files import aside, cannot_write, is_plain

ELSEWHERE = "choose another --out"

Files = dict[str, tuple[str, bytes]]
"""What a file holds -> its name and content."""

CURVES = ("step", "label", "seed", "loss", "smoothed", "difference", "lr")


def write(comparison: Comparison, folder: Path) -> dict[str, str]:
    """Write the report into a folder and return where each file is; the same comparison always gives the same bytes.

    Raises:
        StoreError: the folder cannot be written, or a job of a run is missing or damaged.
    """
    charts = charts_of(comparison.runs)
    palette = figures.palette_of(comparison)
    figure, others = figures.comparison_picture(comparison), pictures(charts, palette)
    side_by_side = Panels(figures.panel_pictures(comparison), figure.caption)
    tables: Files = {"curves": ("curves.csv", _as_csv(CURVES, curve_rows(comparison)))}
    tables |= chart_file(charts) | data_files(comparison.runs)
    return write_files(folder, comparison_page(comparison, [side_by_side, *others]), [figure, *others], tables)


def write_summary(runs: Sequence[Run], folder: Path) -> dict[str, str]:
    """Write the report of runs in which nothing was trained: what their strategies have to show."""
    charts = charts_of(runs)
    drawn = pictures(charts)
    html = page(", ".join(run.name for run in runs), "Nothing was trained.", drawn, runs=runs)
    return write_files(folder, html, drawn, chart_file(charts))


def write_tables(title: str, tables: Sequence[Table], charts: Sequence[Chart], folder: Path) -> dict[str, str]:
    """Write tables and charts that belong to no run, as a page, figures and CSV."""
    of_no_run = [("", chart) for chart in charts if is_drawable(chart)]
    drawn = pictures(of_no_run)
    return write_files(folder, page(title, "", [*tables, *drawn]), drawn, chart_file(of_no_run))


def chart_file(charts: Sequence[RunChart]) -> Files:
    return {"charts": ("charts.csv", _as_csv(COLUMNS, csv_rows(charts)))} if charts else {}


def write_files(folder: Path, html: str, drawn: Sequence[Picture], tables: Files) -> dict[str, str]:
    """Write all files and return where each is; a folder that cannot be written is a StoreError."""
    files: Files = {"page": ("report.html", html.encode())}
    for each in drawn:
        files[f"{each.name}_svg"] = (f"{each.name}.svg", each.svg.encode())
        files[f"{each.name}_png"] = (f"{each.name}.png", each.png)
    files |= tables
    if others := [name for name, _ in files.values() if not is_plain(name)]:
        raise StoreError(f"{folder}: {others[0]!r} is no name of a file in it, so no report is written; mend the name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, ELSEWHERE) from error
    for name, content in files.values():
        with aside(folder / name, ELSEWHERE) as temporary:
            temporary.write_bytes(content)
    return {what: str(folder / name) for what, (name, _) in files.items()}


def _as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
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
            smooth, difference = smoothed(curve.losses), smoothed_difference(curve, panel.reference)
            for step, (loss, lr) in enumerate(curve.history.tolist()):
                apart = "" if difference is None else f"{difference[step]:.9g}"
                yield (step, curve.label, curve.seed, f"{loss:.9g}", f"{smooth[step]:.9g}", apart, repr(lr))


def data_files(runs: Sequence[Run]) -> Files:
    columns: dict[str, tuple[str, ...]] = {}
    rows: dict[str, dict[tuple[str, ...], None]] = {}
    for each in (each for run in runs for each in run.result.data):
        columns.setdefault(each.name, each.columns)
        rows.setdefault(each.name, {}).update(dict.fromkeys(each.rows))
    return {name: (f"{name}.csv", _as_csv(columns[name], rows[name])) for name in rows}
