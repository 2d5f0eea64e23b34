"""The charts of strategies: every kind is drawn, the same one always alike, and its numbers are in the CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from comparisons import a_result
from lrctl.contracts.canonical import finite
from lrctl.contracts.chart import Chart, Series
from lrctl.report import charts, heat
from lrctl.report.chart_text import csv_rows
from lrctl.report.drawing import COLOURS, INK, look_of, numbers
from lrctl.report.files import write_tables
from lrctl.report.runs import Run
from lrctl.report.told import BANDS
from lrctl.storage.run_result import RunResult
from lrctl.storage.store import Store
from signed import write_signed

SVG = "{http://www.w3.org/2000/svg}"
ODD = "a<b> & $x^2$"
NAN, INF = math.nan, math.inf
X = (1.0, 2.0, 3.0, 4.0)
WITH_GAPS = Series(ODD, X, (3.0, None, INF, 2.0), (2.5, None, None, 1.5), (3.5, None, None, 2.5))
OTHER = Series("other", X, (2.0, 2.5, 2.0, 1.0))
NAMED = replace(WITH_GAPS, x=(0.0, 1.0, 2.0, 3.0))
NAMES = ("cosine", ODD, "wsd with a long name", "linear")
CELLS = ((3.0, None, 2.0), (2.5, 1.5, NAN), (None, None, None))

CHARTS = {
    "lines": Chart("lines", ODD, "lines", ODD, "y", ODD, (WITH_GAPS, OTHER)),
    "lines with names": Chart("named", ODD, "lines", "", "y", series=(NAMED,), ticks=NAMES),
    "lines, logarithmic": Chart("log", ODD, "lines", "x", "y", series=(WITH_GAPS,), log_x=True, log_y=True),
    "steps": Chart("steps", ODD, "steps", "x", "y", series=(WITH_GAPS, OTHER)),
    "points": Chart("points", ODD, "points", "x", "y", series=(WITH_GAPS, OTHER)),
    "points with names": Chart("families", ODD, "points", "", "loss", series=(NAMED,), ticks=NAMES, log_y=True),
    "bars": Chart("bars", ODD, "bars", "x", "y", series=(Series(ODD, (-1.0, 0.0, 1.0, 2.0), (2, None, 3)),)),
    "bars of two": Chart(
        "two", ODD, "bars", "x", "y", series=(Series("a", X, (1, 0, 2)), Series(ODD, X, (INF, 2.5, 1)))
    ),
    "heat": Chart("heat", ODD, "heat", "LR", "", cells=CELLS, rows=(ODD, "b", "c"), columns=("0.1", "1", ODD)),
}


@cache
def drawn(case: str) -> tuple[bytes, str]:
    (picture,) = charts.pictures([("", CHARTS[case])])
    return picture.png, picture.svg


def texts(svg: str) -> set[str | None]:
    return {text.text for text in ET.fromstring(svg).iter(f"{SVG}text")}


@pytest.mark.parametrize("case", CHARTS)
def test_each_kind_is_drawn_with_its_text_as_it_is_and_without_an_image(case: str) -> None:
    png, svg = drawn(case)
    assert ODD in texts(svg)
    assert "<image" not in svg, "the page would not show it"
    title, description = ET.fromstring(svg)[:2]
    assert (title.text, bool(description.text)) == (ODD, True)
    with Image.open(io.BytesIO(png)) as image:
        assert image.size[0] == 2000
        assert len(image.convert("RGB").getcolors(10**6) or []) > 20


TOLD = {
    "lines": [
        f"{ODD} 1\n{ODD}: 3\nother: 2",
        f"{ODD} 2\nother: 2.5",
        f"{ODD} 3\nother: 2",
        f"{ODD} 4\n{ODD}: 2\nother: 1",
    ],
    "lines with names": [f"cosine\n{ODD}: 3", f"linear\n{ODD}: 2"],
    "points": [
        *(f"x {x}\n{ODD}: {y}" for x, y in ((1, "3 (2.5 to 3.5)"), (4, "2 (1.5 to 2.5)"))),
        *(f"x {x}\nother: {y}" for x, y in ((1, 2), (2, 2.5), (3, 2), (4, 1))),
    ],
    "points with names": [f"cosine\n{ODD}: 3 (2.5 to 3.5)", f"linear\n{ODD}: 2 (1.5 to 2.5)"],
    "bars": [f"-1 to 0\n{ODD}: 2", f"1 to 2\n{ODD}: 3"],
    "heat": [f"{ODD}, 0.1: 3", f"{ODD}, {ODD}: 2", "b, 0.1: 2.5", "b, 1: 1.5"],
}
"""What who points at a chart is told, by its name."""


def areas(svg: str) -> list[tuple[str, float, float, float, float]]:
    """Each text that a place of a chart tells, and the place: left, top, width, height."""
    (group,) = [each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("class") == "told"]
    sizes = ("x", "y", "width", "height")
    return [(str(area[0].text), *(float(str(area.get(name))) for name in sizes)) for area in group]  # type: ignore[misc]


@pytest.mark.parametrize("case", TOLD)
def test_who_points_at_a_place_is_told_its_values(case: str) -> None:
    found = areas(drawn(case)[1])
    assert [text for text, *_ in found] == TOLD[case]
    assert all(0 < width < 720 and 0 < height < 720 and x >= 0 and y >= 0 for _, x, y, width, height in found)


def test_values_are_told_where_they_are_drawn() -> None:
    svg = drawn("points")[1]
    marks = [
        (float(str(m.get("x"))), float(str(m.get("y")))) for m in ET.fromstring(svg).iter(f"{SVG}use") if m.get("y")
    ]
    middles = [(x + width / 2, y + height / 2) for _, x, y, width, height in areas(svg)]
    assert all(any(math.dist(middle, mark) < 0.2 for mark in marks) for middle in middles)


def test_bands_side_by_side_fill_the_width_of_many_steps() -> None:
    line = Series("a", tuple(map(float, range(1000))), (1.0,) * 1000)
    found = areas(charts.pictures([("", Chart("many", "t", "lines", "step", "y", series=(line,)))])[0].svg)
    assert (len(found), found[0][0], found[-1][0]) == (BANDS, "step 0\na: 1", "step 999\na: 1")
    assert all(abs(one[1] + one[3] - other[1]) < 0.2 for one, other in pairwise(found)), "without gaps"


@pytest.mark.parametrize("case", ["lines", "heat"])
def test_the_same_chart_gives_the_same_bytes(case: str) -> None:
    (again,) = charts.pictures([("", CHARTS[case])])
    assert (again.png, again.svg) == drawn(case)


def test_what_cannot_stand_on_a_scale_is_a_gap() -> None:
    assert [math.isnan(v) for v in numbers((1.0, None, INF, NAN, 0.0, -1.0))] == [False, True, True, True, False, False]
    assert [math.isnan(v) for v in numbers((1.0, 0.0, -1.0), log=True)] == [False, True, True]


def path_of(svg: str, style: str) -> list[str]:
    """What the pen does along each path of a colour."""
    return [
        "".join(re.findall("[MLz]", d))
        for d, found in re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)', svg)
        if style in found and "fill: none" in found
    ]


def test_a_line_has_a_gap_and_a_staircase_has_stairs() -> None:
    series = (Series("a", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), (1.0, 2.0, 4.0, None, 3.0, 1.0)),)
    kinds: tuple[Any, ...] = ("lines", "steps")
    straight, stairs = (
        path_of(charts.pictures([("", Chart(kind, "t", kind, "x", "y", series=series))])[0].svg, COLOURS[0])
        for kind in kinds
    )
    assert straight == ["MLLML"]
    assert stairs == ["MLLLLLMLL"], "the last one before the gap goes on to the next x"


def test_a_value_between_gaps_is_a_dot() -> None:
    y = [NAN, 1.0, NAN, 2.0, 3.0]
    assert [charts.is_isolated(y, i) for i in (1, 3, 4)] == [True, False, False]


def test_a_dozen_lines_look_different_and_the_next_dozen_are_thinner() -> None:
    looks = [look_of(place) for place in range(24)]
    assert len({str(look) for look in looks}) == 24
    assert [look["linewidth"] for look in looks[11:13]] == [1.8, 1.0]


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def test_no_colour_of_the_heat_map_fades_into_a_light_or_a_dark_page_or_changes_with_it() -> None:
    from matplotlib.colors import to_hex, to_rgb

    levels = [heat.colours()(i) for i in range(heat.LEVELS)]
    shades = [heat.luminance(colour) for colour in levels]
    assert shades == sorted(shades, reverse=True), "the lower, the brighter, whoever looks"
    light, dark = (heat.luminance(to_rgb(paper)) for paper in ("#ffffff", "#14171b"))
    assert min(max(contrast(shade, paper) for shade in (shades[0], shades[-1])) for paper in (light, dark)) > 7
    assert min(contrast(shade, paper) for shade in shades for paper in (light, dark)) > 1.3
    assert not {to_hex(colour) for colour in levels} & {*COLOURS, INK}
    inks = [heat.luminance(to_rgb(ink)) for ink in (heat.DARK, heat.BRIGHT)]
    assert min(contrast(shade, inks[0 if shade > heat.BRIGHTER else 1]) for shade in shades) >= 3


def test_the_lowest_of_each_row_and_of_all_are_marked() -> None:
    svg = drawn("heat")[1]
    frames = re.findall(r"stroke: #(?:0b0d10|ffffff); stroke-width: ([0-9.]+)", svg)
    assert sorted(frames) == [f"{heat.THIN:g}", f"{heat.THICK:g}"], "two rows have numbers"
    assert {"lowest of the row", "lowest of all", "1.500", "3.000"} <= texts(svg)
    assert ">a&lt;b&gt; &amp; $x^2$: lowest 2 at" in svg


def test_a_map_of_one_value_and_one_of_many_are_drawn() -> None:
    for size, value in ((1, lambda _: 2.0), (14, float)):
        cells = tuple(tuple(value(r * c) for c in range(size)) for r in range(size))
        names = tuple(f"name {i}" for i in range(size))
        (picture,) = charts.pictures(
            [("", Chart("map", "t", "heat", "x", "y", cells=cells, rows=names, columns=names))]
        )
        assert set(names) <= texts(picture.svg)
        assert ("2.000" in texts(picture.svg)) == (size == 1), "many cells have no room for numbers"


SPANS = {
    "all alike": ((2.0,), (2.0, 2.0, False)),
    "evenly": ((1.0, 2.0, 3.0), (1.0, 3.0, False)),
    "one nearly diverged": ((1.0, 2.0, 3.0, 1000.0), (1.0, 7.0, True)),
}


@pytest.mark.parametrize(("values", "expected"), SPANS.values(), ids=SPANS)
def test_the_colours_tell_apart_what_is_worth_a_look(values: tuple[float, ...], expected: Any) -> None:
    assert heat.span(values) == expected


def run(name: str, *found: Chart) -> Run:
    """A run whose result has these charts."""
    return cast("Run", SimpleNamespace(name=name, result=a_result(charts=found)))


def test_charts_of_one_name_are_drawn_one_below_the_other() -> None:
    one, other = CHARTS["bars"], replace(CHARTS["bars"], caption="Read it so.")
    found = charts.charts_of([run("first", one, CHARTS["steps"]), run("none"), run("second", other)])
    assert [(name, chart.name) for name, chart in found] == [("first", "bars"), ("second", "bars"), ("first", "steps")]
    both, alone = charts.pictures(found)
    assert {f"{ODD} of first", f"{ODD} of second"} <= texts(both.svg)
    assert (both.caption, ODD in texts(alone.svg)) == ("Read it so.", True)
    assert "<desc>first: 2 from -1 to 0, 3 from 1 to 2; second: 2 from" in both.svg
    heights = [Image.open(io.BytesIO(png)).size[1] for png in (both.png, drawn("bars")[0])]
    assert heights[0] == 2 * heights[1]


def test_a_chart_without_a_number_is_left_out() -> None:
    empty = replace(CHARTS["lines"], series=(Series("a", X, (None, NAN, INF, None)),))
    blank = replace(CHARTS["heat"], cells=((None,) * 3,) * 3)
    bare = Chart("bare", "t", "bars", "x", "y")
    assert charts.charts_of([run("a", empty, blank, bare), run("b")]) == []


DAMAGED: dict[str, Any] = {
    "no list": 3,
    "a path as its name": [asdict(CHARTS["lines"]) | {"name": "../lines"}],
    "the name of the report's figure": [asdict(CHARTS["lines"]) | {"name": "figure"}],
    "another kind": [asdict(CHARTS["lines"]) | {"kind": "pie"}],
    "an unknown key": [asdict(CHARTS["lines"]) | {"colour": "red"}],
    "no series": [{"name": "a"}],
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_a_result_with_charts_that_cannot_be_read_is_none(damaged: Any, tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.path / "runs" / "odd").mkdir()
    for found, is_result in (([], True), (damaged, False)):
        write_signed(store.path / "runs" / "odd" / "result.json", a_result().to_json() | {"charts": found})
        assert (store.runs.result("odd") is not None) is is_result


UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "x and y": (lambda: replace(CHARTS["lines"], series=(Series("a", X, (1.0,)),)), "needs 1 x, got 4"),
    "edges": (lambda: replace(CHARTS["bars"], series=(Series("a", X, X),)), "needs 5 x, got 4"),
    "low alone": (lambda: Series("a", X, X, X), "low and high must be as many as y"),
    "short bands": (lambda: Series("a", X, X, (1.0,), (2.0,)), "low and high must be as many as y"),
    "rows": (lambda: replace(CHARTS["heat"], rows=("a",)), "must be 1 rows of 3"),
    "columns": (lambda: replace(CHARTS["heat"], columns=("a",)), "must be 3 rows of 1"),
    "name": (lambda: replace(CHARTS["heat"], name="A b"), "lower-case letters, digits and hyphens"),
}


@pytest.mark.parametrize(("make", "said"), UNFIT.values(), ids=UNFIT)
def test_numbers_that_do_not_fit_together_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("case", CHARTS)
def test_a_chart_comes_back_from_its_document(case: str) -> None:
    document = json.loads(json.dumps(a_result(charts=(CHARTS[case],)).to_json()))
    (back,) = RunResult.from_json(document).charts
    assert finite(asdict(back)) == finite(asdict(CHARTS[case]))


def test_a_name_that_looks_like_a_number_stands_at_its_own_place_only() -> None:
    series = (Series("s", (0.5, 1.0, 2.0), (1.0, 1.0, 1.0)),)
    chart = Chart("c", "t", "points", "", "", series=series, ticks=("0.5", "2"))
    assert [row[3] for row in csv_rows([("", chart)])] == ["0.5", "2", "2.0"]


def test_the_numbers_are_in_the_csv(tmp_path: Path) -> None:
    cases = ("lines", "points with names", "bars", "heat")
    written = write_tables("a & b", [], [CHARTS[case] for case in cases], tmp_path)
    names = {"page", "charts"} | {f"{CHARTS[case].name}_{kind}" for case in cases for kind in ("svg", "png")}
    assert set(written) == names
    found = list(csv.reader(Path(written["charts"]).read_text().splitlines()))
    assert found[0] == ["run", "chart", "series", "x", "y", "low", "high"]
    assert found[1:3] == [["", "lines", ODD, "1.0", "3.0", "2.5", "3.5"], ["", "lines", ODD, "2.0", "", "", ""]]
    assert ["", "families", ODD, ODD, "", "", ""] in found, "names stand for places"
    assert [row[3:5] for row in found if row[1] == "bars"] == [
        ["-1.0", "2.0"],
        ["0.0", ""],
        ["1.0", "3.0"],
        ["2.0", ""],
    ]
    assert ["", "heat", "b", "1", "1.5", "", ""] in found
    assert "<h1>a &amp; b</h1>" in Path(written["page"]).read_text()
    assert set(write_tables("t", [], [], tmp_path / "none")) == {"page"}
