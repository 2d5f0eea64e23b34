"""The page of a report, opened in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

import comparisons
from comparisons import ALL, SEARCHES, document, made_by_hand
from lrctl.report.compare import compare
from lrctl.report.figures import COLOURS
from lrctl.report.files import write

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return comparisons.fill(tmp_path_factory.mktemp("runs") / "store")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture
def opened(store: Path, browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Opens the page of a report; the browser must ask for the file only, and have nothing to complain of."""
    asked: list[str] = []
    said: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 800})

    def see(*runs: str, **options: Any) -> Any:
        files = write(compare(store, runs), tmp_path)
        page = context.new_page()
        page.emulate_media(**options)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(Path(files["page"]).as_uri())
        return page

    yield see
    context.close()
    assert set(asked) == {(tmp_path / "report.html").as_uri()}
    assert said == []


def test_the_figure_is_there_and_can_be_read_aloud(opened: Any) -> None:
    page = opened(*ALL)
    box = page.locator("figure svg").bounding_box()
    assert box["width"] > 900
    assert box["height"] > 300
    figure = page.get_by_role("img", name="Loss and LR of semilocal eps=0.05 eps_unit=nats, local")
    assert figure.count() == 1
    assert "Left: training loss minus that of wsd" in page.locator("#figure-desc").text_content()
    assert page.get_by_text("Train loss minus that of wsd", exact=True).is_visible()


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


def test_a_histogram_stands_beside_the_figure_in_the_colours_of_the_page(opened: Any, store: Path) -> None:
    counted = {"histogram": {"edges": [-0.2, -0.1, 0.0, 0.1], "counts": [2, 0, 3]}}
    page = opened(made_by_hand(store, "local-0", "counted", summary=counted), color_scheme="dark")
    assert page.get_by_role("img").count() == 2
    found = page.get_by_role("img", name="Final deltas of counted")
    assert found.bounding_box()["width"] > 900
    assert page.locator("#histogram-desc").text_content() == "counted: 2 from -0.2 to -0.1, 3 from 0 to 0.1"
    fills = found.locator("path").evaluate_all("paths => paths.map(path => getComputedStyle(path).fill)")
    assert {"rgb(74, 168, 224)", "rgb(255, 134, 64)"} <= set(fills)
    ids = page.evaluate("[...document.querySelectorAll('svg clipPath')].map(each => each.id)")
    assert len(ids) == len(set(ids)) > 0


def test_each_run_is_there_with_its_recipe_versions_and_command(opened: Any, store: Path) -> None:
    page = opened(*SEARCHES)
    assert page.locator("h3").all_inner_texts() == SEARCHES
    recipe = page.locator("details", has_text="Recipe").first
    assert not recipe.locator("pre").is_visible()
    recipe.locator("summary").click()
    assert recipe.locator("pre").inner_text() == (store / "runs" / SEARCHES[0] / "recipe.toml").read_text()
    assert "torch: " in page.locator("details", has_text="Versions").first.text_content()
    commands = page.locator("pre").last.inner_text().splitlines()
    assert commands[0] == "lrctl semilocal --recipe ./semilocal-0.toml --name semilocal-0"
    assert commands[-1] == f"lrctl report {' '.join(SEARCHES)}"


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
    page = opened(SEARCHES[0], media="print")
    assert page.locator("details pre").first.bounding_box()["height"] > 100


def test_text_from_files_is_text_whatever_it_holds(opened: Any, store: Path) -> None:
    bad = "<img src=x onerror=alert(1)>&\"'"
    entry = document(store, "baseline-0")["results"][0]
    name = made_by_hand(
        store,
        "baseline-0",
        bad,
        workload=f"{bad}.py:X",
        notes=[bad],
        results=[entry | {"name": bad, "family": bad}],
        tables=[{"caption": bad, "columns": [bad], "rows": [[bad]], "notes": [bad]}],
        summary={"histogram": {"edges": [-1.0, 0.0, 1.0], "counts": [1, 2]}},
    )
    (store / "runs" / name / "environment.json").write_text('{"<script>": "</pre><script>alert(1)</script>"}')
    page = opened("local-0", name)
    assert page.locator("img:not(svg), script").count() == 0
    assert page.locator("h3").all_inner_texts()[1] == bad
    assert bad in page.locator("h1").inner_text()
    assert bad in page.locator("#figure-title").text_content()
    assert bad in page.locator("#histogram-title").text_content()
    assert bad in page.locator("caption").all_inner_texts()
    assert "</pre><script>alert(1)</script>" in page.locator("details").last.text_content()
    assert page.locator("pre").last.inner_text().count("--allow-code") == 1
