"""The pages lead somewhere, name what there is, and are up to date."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.generate import PAGES as GENERATED
from docs.generate import REFERENCE, generated
from docs.pages import BENCHMARKS, ENTRANCES, GUIDE, PAGES, ROOT, name_of, prose, text_of
from lrctl.cli.commands import application
from lrctl.recipe import files as recipe_files

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


def test_every_path_in_the_map_exists() -> None:
    paths = set(re.findall(r"`((?:lrctl|plugins|recipes|tests)/[\w/.]*)`", "".join(map(text_of, PAGES))))
    assert len(paths) > 20
    assert {path for path in paths if not (ROOT / path).exists()} == set()


# Commands

COMMANDS = application().commands
PLACEHOLDER = re.compile(r"[A-Z.]+")


def calls(page: Path) -> Iterator[list[str]]:
    """The words behind `lrctl` wherever a page shows a command: in a block of its own, or between backticks."""
    joined = re.sub(r"\\\n\s*", "", prose(page))
    shown = re.findall(r"^    (.*)$", joined, re.MULTILINE) + re.findall(r"`([^`]+)`", joined)
    for line in shown:
        for call in re.findall(r"(?:^|&& )(?:\S*/)?lrctl ([a-z-].*?)(?= && |$)", line):
            yield shlex.split(re.sub(r" [>|].*| \(.*", "", call))


def options(command: Any) -> set[str]:
    return {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "hooks.md"], ids=name_of)
def test_every_command_of_a_page_is_there_with_its_flags_and_recipe(page: Path) -> None:
    for words in calls(page):
        if words[0].startswith("-"):
            assert words[0] in options(application()) | {"--help"}, words
            continue
        assert words[0] in COMMANDS, words
        command = COMMANDS[words[0]].build()
        if len(words) > 1 and words[1] in (inner := getattr(command, "commands", {})):
            command = inner[words[1]]
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert flags <= options(command) | {"--help"}, words
        recipes = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--recipe"]
        assert [recipe for recipe in recipes if not PLACEHOLDER.match(recipe) and not recipe_files.find(recipe)] == []


def test_commands_are_found_in_the_pages() -> None:
    named = {words[0] for page in PAGES for words in calls(page)}
    assert {name for name in COMMANDS if name not in named} == set()
