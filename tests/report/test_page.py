"""The page of a report, opened in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

import comparisons
from comparisons import ALL, SEARCHES, SEEDS, document, made_by_hand, seeded
from lrctl.contracts.chart import Chart, Series
from lrctl.report.compare import compare
from lrctl.report.drawing import COLOURS
from lrctl.report.files import write
from lrctl.storage.runs import LEAVE
from signed import write_signed

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


BAD = "<img src=x onerror=alert(1)>&\"'"
EDGES = (-0.2, -0.1, 0.0, 0.1)
BARS = Chart("histogram", "Final deltas", "bars", "delta", "comparisons", "How many.", (Series("n", EDGES, (2, 0, 3)),))
LINES = Chart("lines", "Losses", "lines", "step", "loss", series=(Series("a", (0.0, 1.0, 2.0), (3.0, 2.0, 2.5)),))
HEAT = Chart(
    "heat",
    "Base LR and shape",
    "heat",
    "base LR",
    "",
    cells=tuple(tuple(None if (r, c) == (2, 5) else 3 + 0.1 * abs(r - c) for c in range(6)) for r in range(3)),
    rows=("cosine", "linear", "wsd"),
    columns=tuple(f"{10.0**-i:g}" for i in range(6)),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one seed, the same under other seeds, and what is made of them by hand."""
    place = comparisons.fill(tmp_path_factory.mktemp("runs") / "store", SEEDS[:1])
    for name in ALL:
        command, seed = name.split("-")
        if int(seed) != SEEDS[0]:
            seeded(place, f"{command}-{SEEDS[0]}", name, int(seed))
    made_by_hand(place, "local-0", "charted", charts=[asdict(chart) for chart in (BARS, LINES, HEAT)])
    entry = document(place, "baseline-0")["results"][0]
    made_by_hand(
        place,
        "baseline-0",
        BAD,
        workload=f"{BAD}.py:X",
        notes=[BAD],
        results=[entry | {"name": BAD}],
        tables=[{"caption": BAD, "columns": [BAD], "rows": [[BAD]], "notes": [BAD]}],
        charts=[asdict(BARS) | {"title": BAD, "caption": BAD, "x": BAD}],
    )
    write_signed(place / "runs" / BAD / "environment.json", {"<script>": "</pre><script>alert(1)</script>"})
    return place


@pytest.fixture(scope="module")
def address(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Where the page on some runs lies; it is written once."""

    @cache
    def written(*runs: str) -> str:
        return Path(write(compare(store, runs), tmp_path_factory.mktemp("report"))["page"]).as_uri()

    return written


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def opened(address: Callable[..., str], browser: Browser) -> Iterator[Any]:
    """Opens the page of a report; the browser must ask for the file only, and have nothing to complain of."""
    asked: list[str] = []
    said: list[str] = []
    pages: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 800})

    def see(*runs: str, **options: Any) -> Any:
        pages.append(address(*runs))
        page = context.new_page()
        page.emulate_media(**options)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(pages[-1])
        return page

    yield see
    context.close()
    assert asked == pages
    assert said == []


def test_the_panels_are_there_and_can_be_read_aloud(opened: Any) -> None:
    page = opened(*ALL)
    panels = page.locator(".panels svg")
    assert panels.count() == 3
    assert all(panels.nth(i).bounding_box()["height"] > 250 for i in range(3))
    assert panels.nth(0).bounding_box()["y"] == panels.nth(1).bounding_box()["y"]
    figure = page.get_by_role("img", name="Train loss minus that of wsd: semilocal eps=0.05 eps_unit=nats, local")
    assert figure.count() == 1
    assert "Training loss minus that of wsd" in page.locator("#figure-difference-0-desc").text_content()
    for title in ("Train loss minus that of wsd", "Train loss", "Learning rate"):
        assert page.locator("svg text").get_by_text(title, exact=True).is_visible()


@pytest.mark.parametrize("width", [360, 400])
def test_panels_stack_on_a_narrow_page(width: int, opened: Any) -> None:
    page = opened(*ALL)
    page.set_viewport_size({"width": width, "height": 800})
    boxes = [page.locator(".panels svg").nth(i).bounding_box() for i in range(3)]
    assert len({box["x"] for box in boxes}) == 1
    assert all(box["width"] <= width - 40 for box in boxes)
    assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(boxes))


def test_the_verdicts_and_tables_are_there(opened: Any) -> None:
    page = opened(*ALL)
    assert page.locator("h1").inner_text().endswith("against wsd")
    assert page.locator(".verdicts li").count() == 3
    captions = page.locator("caption").all_inner_texts()
    assert captions[:2] == ["Losses at the end, mean over seeds", "Test loss against wsd"]
    assert captions.count("What each segment chose") == 6
    assert captions.count("The best of each schedule") == 3
    assert page.locator("table").first.is_visible()
    assert page.locator('thead th:not([scope="col"]), tbody th:not([scope="row"])').count() == 0
    assert page.get_by_role("row", name="wsd (reference)").count() == 1


def colours(found: Any) -> set[str]:
    """With what the paths of a figure are filled."""
    return set(found.locator("path").evaluate_all("paths => paths.map(path => getComputedStyle(path).fill)"))


def test_charts_stand_beside_the_figure_in_the_colours_of_the_page(opened: Any) -> None:
    page = opened("charted", color_scheme="dark")
    assert page.get_by_role("img").count() == 2 + 3
    for title in ("Final deltas of charted", "Losses of charted", "Base LR and shape of charted"):
        assert page.get_by_role("img", name=title).bounding_box()["width"] > 900
    assert page.locator("#histogram-desc").text_content() == "charted: 2 from -0.2 to -0.1, 3 from 0 to 0.1"
    assert page.locator("figcaption").all_inner_texts()[1:] == ["How many."]
    assert {"rgb(74, 168, 224)", "rgb(255, 134, 64)"} <= colours(page.get_by_role("img", name="Final deltas"))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids)) > 8


def test_a_heat_map_keeps_its_colours_on_a_dark_page(opened: Any) -> None:
    light, dark = (
        colours(opened("charted", color_scheme=scheme).get_by_role("img", name="Base LR and shape"))
        for scheme in ("light", "dark")
    )
    assert len(light) == len(dark) > 40
    assert len(light - dark) == len(dark - light) <= 1, "of the ink of the axes"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1000, 360])
def test_charts_can_be_read_on_any_page(width: int, scheme: str, opened: Any) -> None:
    page = opened("charted", color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = page.locator(".scroll svg")
    assert min(found.nth(i).bounding_box()["width"] for i in range(3)) >= 700, "they scroll where the page is narrow"
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    for text in ("Base LR and shape", "cosine", "lowest of all"):
        ink = page.get_by_text(text, exact=True).first.evaluate("text => getComputedStyle(text).fill")
        assert contrast(paper, luminance(ink)) >= 7
    of_line = page.locator("svg[aria-labelledby^=lines] path").evaluate_all(
        "paths => paths.map(path => getComputedStyle(path).stroke)"
    )
    assert page.evaluate(SHOWN, "--line-0") in of_line


def test_each_run_is_there_with_its_recipe_versions_and_command(opened: Any, store: Path) -> None:
    page = opened(*ALL)
    assert page.locator("h3").all_inner_texts() == ALL
    recipe = page.locator("details", has_text="Recipe").first
    assert not recipe.locator("pre").is_visible()
    recipe.locator("summary").click()
    assert recipe.locator("pre").inner_text() == (store / "runs" / SEARCHES[0] / "recipe.toml").read_text()
    with page.expect_download() as saving:
        page.get_by_text("Save semilocal-0.toml").click()
    assert saving.value.suggested_filename == "semilocal-0.toml"
    assert saving.value.path().read_text() == recipe.locator("pre").inner_text()
    assert "torch: " in page.locator("details", has_text="Versions").first.text_content()
    commands = page.locator("pre").last.inner_text().splitlines()
    assert commands[0] == "lrctl semilocal --recipe ./semilocal-0.toml --name semilocal-0"
    assert commands[-1] == f"lrctl report {' '.join(ALL)} --against wsd"


SHOWN = "name => { document.body.style.color = `var(${name})`; return getComputedStyle(document.body).color }"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_and_lines_stand_out_from_the_paper(scheme: str, opened: Any) -> None:
    page = opened(*ALL, color_scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    text = luminance(page.evaluate("getComputedStyle(document.querySelector('svg text')).fill"))
    assert contrast(paper, text) >= 7
    faint = luminance(page.evaluate("getComputedStyle(document.querySelector('figcaption')).color"))
    assert contrast(paper, faint) >= 4.5
    strokes = page.evaluate("[...document.querySelectorAll('svg path')].map(path => getComputedStyle(path).stroke)")
    lines = {stroke for stroke in strokes if stroke != "none"}
    assert len(lines) == 4, "ink, and a colour for each of three methods"
    lines |= {page.evaluate(SHOWN, f"--line-{i}") for i in range(len(COLOURS))}
    assert len(lines) == 1 + len(COLOURS)
    assert min(contrast(paper, luminance(line)) for line in lines) >= 3


def luminance(colour: str) -> float:
    """The relative luminance of `rgb(r, g, b)`, as WCAG defines it."""
    shares = [int(part) / 255 for part in colour.strip("rgb()").split(",")]
    r, g, b = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: float, other: float) -> float:
    """The contrast ratio of two luminances: 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_a_narrow_page_does_not_scroll_sideways_but_its_tables_do(opened: Any) -> None:
    page = opened(*ALL)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_in_print_the_recipes_are_open(opened: Any) -> None:
    page = opened(*ALL, media="print")
    assert page.locator("details pre").first.bounding_box()["height"] > 100


def test_text_from_files_is_text_whatever_it_holds(opened: Any) -> None:
    page = opened("local-0", BAD)
    assert page.locator("img:not(svg), script").count() == 0
    assert page.locator("h3").all_inner_texts()[1] == BAD
    assert BAD in page.locator("h1").inner_text()
    assert BAD in page.locator("#figure-difference-0-title").text_content()
    assert BAD in page.locator("#histogram-title").text_content()
    assert BAD in page.locator("figcaption").all_inner_texts()
    assert page.locator("svg text").get_by_text(BAD, exact=True).count() >= 1
    assert BAD in page.locator("caption").all_inner_texts()
    assert "</pre><script>alert(1)</script>" in page.locator("details").last.text_content()
    again = page.locator("pre").last.inner_text().splitlines()
    assert [line.partition("#")[2] for line in again if "--allow-code" in line] == [f" {LEAVE}"]
