"""The README in the package's metadata, which package indexes show: it leads nowhere that is not there."""

from __future__ import annotations

import re

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from docs.pages import ROOT
from lrctl.cli.guide import pages


@pytest.fixture(scope="module")
def shown() -> str:
    """The text as it is built."""
    return ProjectMetadata(str(ROOT), PluginManager()).core.readme


def test_it_has_no_link_to_a_file(shown: str) -> None:
    assert re.findall(r"\]\((?!https?://)[^)]*\)", shown) == []
    assert shown.startswith("# lrctl\n")
    assert "License: Apache-2.0" in shown


def test_it_names_pages_by_the_command_that_shows_them(shown: str) -> None:
    named = set(re.findall(r"`lrctl guide ([a-z-]+)`\)", shown))
    assert named <= pages().keys()
    assert {"lookahead", "own-project", "transfer", "limits"} <= named
    assert "report lookahead-c4395154 baseline-2b2a2421` (how to: `lrctl guide compare`)." in shown
    assert "The guide (`lrctl guide`), also by" in shown
    assert "changes (`CHANGELOG.md`)" in shown
