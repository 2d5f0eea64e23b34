"""What the pages name is there, and what they list is complete."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from cases import case
from docs.generate import REFERENCE
from docs.pages import GUIDE, PAGES, ROOT, name_of, prose, text_of
from lrctl import errors
from lrctl.cli.commands import application
from lrctl.cli.signals import STOPS
from lrctl.contracts.result import JobRecord
from lrctl.contracts.strategy import Candidate, Segment
from lrctl.recipe import files as recipe_files
from lrctl.registry.parts import FLAGS
from lrctl.storage.labels import FILE as LABELS
from lrctl.storage.opening import FOLDERS
from lrctl.storage.run_result import Cost, RunResult

COMMANDS = application().commands
PLACEHOLDER = re.compile(r"[A-Z.]+")


def in_lines(lines: list[str]) -> Iterator[list[str]]:
    """The words behind each `lrctl` that lines begin with, or that follows another command."""
    for line in lines:
        for call in re.findall(r"(?:^|&& )(?:\S*/)?lrctl ([a-z-].*?)(?= && |$)", line):
            yield shlex.split(re.sub(r" [>|].*| \(.*", "", call))


def in_blocks(page: Path) -> list[list[str]]:
    """The commands of a page that stand in blocks of their own, whole."""
    return [*in_lines(re.findall(r"^    (.*)$", re.sub(r"\\\n\s*", "", prose(page)), re.MULTILINE))]


def in_text(page: Path) -> list[list[str]]:
    """The commands between backticks, which may be told in part."""
    return [*in_lines(re.findall(r"`([^`]+)`", prose(page)))]


def calls(page: Path) -> list[list[str]]:
    return in_blocks(page) + in_text(page)


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


@pytest.mark.parametrize("page", [page for page in PAGES if in_blocks(page) and page.name != "hooks.md"], ids=name_of)
def test_every_command_in_a_block_is_taken_as_it_stands(page: Path) -> None:
    for words in in_blocks(page):
        with case(command=" ".join(words)):
            application().make_context("lrctl", words[:])
            if words[0] in COMMANDS:
                COMMANDS[words[0]].build().make_context(f"lrctl {words[0]}", words[1:])


def test_commands_are_found_in_the_pages() -> None:
    named = {words[0] for page in PAGES for words in calls(page)}
    assert {name for name in COMMANDS if name not in named} == set()


# Lists


def test_the_page_on_formats_names_every_field_of_what_is_stored() -> None:
    page = text_of(REFERENCE / "formats.md")
    for kind in (RunResult, Cost, Segment, Candidate, JobRecord):
        for name in {field.name for field in fields(kind)} - {"summary", "failure"}:
            with case(kind=kind.__name__, name=name):
                assert f"`{name}`" in page
    files = ("recipe.toml", "identity.json", "environment.json", "result.json", "schedule.json", LABELS)
    for name in (*FOLDERS, *files):
        assert f"`{name}/" in page or f"/{name}`" in page, name


def test_the_guide_names_every_format() -> None:
    sources = [text_of(path) for path in (ROOT / "lrctl").rglob("*.py")]
    formats = set(re.findall(r"\"(lrctl-[a-z]+/\d+)\"", "".join(sources)))
    assert formats >= {"lrctl-result/1", "lrctl-seeds/1"}
    told = "".join(map(text_of, GUIDE))
    assert {name for name in formats if name not in told} == set()


def test_the_page_on_the_environment_names_every_variable_of_ours() -> None:
    page = text_of(REFERENCE / "environment.md")
    sources = [text_of(path) for folder in ("lrctl", "plugins") for path in (ROOT / folder).rglob("*.py")]
    used = set(re.findall(r"\"(LRCTL_[A-Z]+)\"", "".join(sources)))
    assert used >= {"LRCTL_STORE", "LRCTL_CACHE", "LRCTL_PLUGINS"}
    assert {name for name in used if f"`{name}`" not in page} == set()


def test_the_page_on_exit_codes_names_every_error() -> None:
    page = text_of(REFERENCE / "exit-codes.md")
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.LrctlError):
            assert f"| {error.exit_code} |" in page, name
    assert {str(code) for *_, code in STOPS.values()} <= {*re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}


def test_the_page_on_hooks_names_every_field_that_is_taken() -> None:
    page = text_of(REFERENCE / "hooks.md")
    assert {name for name in FLAGS if f"`{name}`" not in page} == set()


def test_every_path_in_the_map_exists() -> None:
    paths = set(re.findall(r"`((?:lrctl|plugins|recipes|tests)/[\w/.]*)`", "".join(map(text_of, PAGES))))
    assert len(paths) > 20
    assert {path for path in paths if not (ROOT / path).exists()} == set()
