"""The pages lead somewhere, are short of line, and are up to date."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import PAGES as GENERATED
from docs.generate import REFERENCE, generated
from docs.pages import BENCHMARKS, ENTRANCES, GUIDE, PAGES, ROOT, name_of, prose, text_of

LONGEST = 150


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, each with an anchor that may be empty."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not link.startswith(("https://", "http://")):
            path, _, anchor = link.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", [*PAGES, *BENCHMARKS], ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading #{anchor}"


def test_the_index_has_every_page_of_the_guide() -> None:
    index = ROOT / "lrctl" / "guide" / "README.md"
    linked = {target for target, _ in links(index)}
    assert linked == {page for page in GUIDE if page != index}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_one_title_and_no_long_line(page: Path) -> None:
    assert len(re.findall(r"^# ", prose(page), re.MULTILINE)) == 1
    assert [line for line in text_of(page).splitlines() if len(line) > LONGEST] == []


def test_the_readme_is_short() -> None:
    text = text_of(ENTRANCES[0])
    assert len(text.splitlines()) <= 150
    assert len(text.split()) <= 1300


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")  # which decides nothing
    text = text_of(REFERENCE / name)
    assert text == generated(name, text), "give python tests/docs/generate.py"


def test_every_question_has_an_answer_with_a_page_behind_it() -> None:
    faq = text_of(ROOT / "lrctl" / "guide" / "explanation" / "faq.md")
    _, *questions = faq.split("\n## ")
    assert len(questions) == 15
    for question in questions:
        title, _, answer = question.partition("\n")
        assert title.endswith("?")
        assert "](" in answer or "not measured" in answer, title
